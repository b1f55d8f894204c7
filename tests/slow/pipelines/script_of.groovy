// The command of a Nextflow module, without Nextflow: the file is parsed (less its stub, which
// Nextflow takes apart from the script), and its script block is evaluated with the variables that
// Nextflow would set. script_of.groovy MODULE JSON
import groovy.json.JsonSlurper

def text = new File(args[0]).text
def (module, stub) = text.split('(?m)^    stub:$')
new GroovyShell().parse(module + '}')
def block = module.split('(?m)^    script:$')[1]
def variables = new JsonSlurper().parseText(args[1])
println new GroovyShell(new Binding(variables)).evaluate(block)
