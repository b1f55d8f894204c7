"""Every method behind one door: a name, a line about it, its citation and what it needs."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from dwiser.defaults import DEFAULT_METHOD, DEFAULT_PRESET
from dwiser.errors import Code, InputError, unknown
from dwiser.methods.base import Denoiser
from dwiser.methods.options import Presets, parse
from dwiser.methods.peers.programs import find_program
from dwiser.torch_package import INSTALL, has_torch, require_torch


@dataclass(frozen=True)
class Entry:
    """One method: where its class is, and what a user should know before choosing it.

    ``program`` and ``package`` are what it calls, where that is not dwiser's own and does not
    come with it; ``network`` is whether it needs PyTorch, which the extra "learn" brings.
    """

    place: str
    line: str
    citation: str
    needs: str
    program: str | None = None
    package: str | None = None
    network: bool = False

    @property
    def loadable(self) -> bool:
        """Whether its class can be imported here: a network's, where PyTorch is installed."""
        return not self.network or has_torch()

    @property
    def available(self) -> bool:
        """Whether all that it calls, if it calls anything, is on this machine."""
        has_program = self.program is None or find_program(self.program) is not None
        has_package = self.package is None or find_spec(self.package) is not None
        return self.loadable and has_program and has_package

    @property
    def needs_here(self) -> str:
        """What it needs, and a word if that is not on this machine."""
        if self.available:
            return self.needs
        missing = "not on this machine" if self.loadable else f"PyTorch is missing: {INSTALL}"
        return f"{self.needs} ({missing})"

    def load(self) -> Any:
        """The method's class; imported only now, since some need torch."""
        module, name = self.place.split(":")
        return vars(import_module(module))[name]


METHODS: dict[str, Entry] = {
    "splitq": Entry(
        "dwiser.methods.splitq:Splitq",
        "local estimates in the scan's own subspace, weighted across disjoint directions",
        "dwiser; stacking (Wolpert 1992) of local PCA with the shrinkage of Gavish & Donoho 2017, "
        "on the principle of Noise2Noise (Lehtinen et al., ICML 2018) across q-space",
        "b-values, 6 directions or 5 b0s alone; 28 volumes in shells of at least 4 for learning "
        "across directions",
    ),
    "splitnet": Entry(
        "dwiser.methods.splitnet.method:Splitnet",
        "a convolutional network across disjoint directions; one pass for all volumes",
        "dwiser; the principle of Noise2Noise (Lehtinen et al., ICML 2018) across q-space",
        "b-values, 6 directions, a shell of at least 4 volumes",
        network=True,
    ),
    "difusion": Entry(
        "dwiser.methods.difusion.method:Difusion",
        "Di-Fusion: learns each volume from its partner along a Markov chain, slice by slice",
        "Wu, Kong, Jiang, Zhou: Self-Supervised Diffusion MRI Denoising via Iterative and "
        "Stable Refinement, ICLR 2025, arXiv 2501.13514",
        "b-values, b-vectors, 6 directions; the paper preset: a GPU and hours",
        network=True,
    ),
    "noise2noise": Entry(
        "dwiser.methods.noise2noise:Noise2Noise",
        "Noise2Noise: one pass of a network that learned each volume from its partner",
        "Lehtinen et al.: Noise2Noise: Learning Image Restoration without Clean Data, ICML 2018, "
        "arXiv 1803.04189",
        "b-values, b-vectors, 6 directions; the paper preset: a GPU and hours",
        network=True,
    ),
    "noisier2noise": Entry(
        "dwiser.methods.noisier2noise:Noisier2Noise",
        "Noisier2Noise: a network that learned to undo noise added on top of the scan's own",
        "Moran, Schmidt, Zhong, Coady: Noisier2Noise: Learning to Denoise from Unpaired Noisy "
        "Data, CVPR 2020, arXiv 1910.11908",
        "b-values, 1 direction; the paper preset: a GPU and hours",
        network=True,
    ),
    "ddm2": Entry(
        "dwiser.methods.ddm2.method:DDM2",
        "DDM²: guesses each volume from its neighbours, finds its place on the chain, samples",
        "Xiang, Yurt, Syed, Setsompop, Chaudhari: DDM²: Self-Supervised Diffusion MRI Denoising "
        "with Generative Diffusion Models, ICLR 2023, arXiv 2302.03018",
        "b-values, 3 directions; the paper preset: a GPU and a day",
        network=True,
    ),
    "deep_image_prior": Entry(
        "dwiser.methods.deep_image_prior.method:DeepImagePrior",
        "Deep image prior: an untrained decoder fitted to each slice, stopped before the noise",
        "Ulyanov, Vedaldi, Lempitsky: Deep Image Prior, CVPR 2018, arXiv 1711.10925",
        "b-values, 1 direction; the paper preset: a GPU",
        network=True,
    ),
    "subspace": Entry(
        "dwiser.methods.subspace:Subspace",
        "Wiener shrinkage in the scan's q-space subspace: no network, about a second",
        "dwiser; Wiener's linear filter with noise from the Marchenko-Pastur law, Veraart et al.: "
        "Denoising of diffusion MRI using random matrix theory, NeuroImage 2016",
        "b-values, 1 direction or 5 b0s; the more, the better",
    ),
    "mppca": Entry(
        "dwiser.methods.peers.mppca:MPPCA",
        "MPPCA: in small patches, principal components that are noise are set to zero (DIPY)",
        "Veraart, Novikov, Christiaens, Ades-aron, Sijbers, Fieremans: Denoising of diffusion MRI "
        "using random matrix theory, NeuroImage 2016, 10.1016/j.neuroimage.2016.08.016",
        "b-values, 1 direction or 5 b0s; the more, the better",
    ),
    "localpca": Entry(
        "dwiser.methods.peers.localpca:LocalPCA",
        "Local PCA: in small patches, components below a multiple of the noise are set to zero "
        "(DIPY)",
        "Manjón, Coupé, Concha, Buades, Collins, Robles: Diffusion Weighted Image Denoising Using "
        "Overcomplete Local PCA, PLoS ONE 2013, 10.1371/journal.pone.0073021",
        "b-values, 1 direction or 5 b0s; 2 b0s or 6 directions for its own σ",
    ),
    "dwidenoise": Entry(
        "dwiser.methods.peers.dwidenoise:Dwidenoise",
        "MRtrix3's own MPPCA, called as a program",
        "Veraart et al., NeuroImage 2016; Cordero-Grande et al., NeuroImage 2019, "
        "10.1016/j.neuroimage.2019.06.039; Tournier et al.: MRtrix3, NeuroImage 2019",
        "dwidenoise of MRtrix3 on the PATH (its licence is its own); "
        "b-values, 1 direction or 5 b0s",
        program="dwidenoise",
    ),
    "dwidenoise2": Entry(
        "dwiser.methods.peers.dwidenoise2:Dwidenoise2",
        "MRtrix3's overcomplete local PCA with optimal shrinkage, called as a program",
        "Cordero-Grande et al., NeuroImage 2019, 10.1016/j.neuroimage.2019.06.039; Manjón et al., "
        "PLoS ONE 2013, 10.1371/journal.pone.0073021; Tournier et al.: MRtrix3, NeuroImage 2019",
        "dwidenoise2 on the PATH (its licence, PolyForm Noncommercial 1.0.0, forbids commercial "
        "use); b-values, 1 direction or 5 b0s",
        program="dwidenoise2",
    ),
    "patch_denoise": Entry(
        "dwiser.methods.peers.patch_denoise:PatchDenoise",
        "patch-denoise: singular values of large patches, shrunk optimally; called as a program",
        "Gavish, Donoho: Optimal Shrinkage of Singular Values, IEEE Transactions on Information "
        "Theory 2017, 10.1109/TIT.2017.2653801; Comby, Amor, Vignaud, Ciuciu: Denoising of fMRI "
        "volumes using local low rank methods, ISBI 2023",
        "patch-denoise 2 or later (MIT) on the PATH, which needs a Python of 3.12 or later; "
        "b-values, 1 direction or 5 b0s",
        program="patch-denoise",
    ),
    "patch2self": Entry(
        "dwiser.methods.peers.patch2self:Patch2Self",
        "Patch2Self: every volume predicted from all others by linear regression (DIPY)",
        "Fadnavis, Batson, Garyfallidis: Patch2Self: Denoising Diffusion MRI with Self-Supervised "
        "Learning, NeurIPS 2020, arXiv 2011.01355; version 3: Patch2Self2, CVPR 2024",
        "b-values, 2 directions; 10 or more to be trusted",
    ),
    "ascm": Entry(
        "dwiser.methods.peers.ascm:ASCM",
        "ASCM: a sharp and a smooth non-local mean of each volume, matched by wavelets (DIPY)",
        "Coupé, Manjón, Robles, Collins: Adaptive Multiresolution Non-Local Means Filter for 3D "
        "MR Image Denoising, IET Image Processing 2012, 10.1049/iet-ipr.2011.0161",
        "b-values",
    ),
    "nlsam": Entry(
        "dwiser.methods.peers.nlsam:NLSAM",
        "NLSAM: sparse sums of atoms, learned on blocks of a volume and its angular neighbours",
        "St-Jean, Coupé, Descoteaux: Non Local Spatial and Angular Matching, Medical Image "
        "Analysis 2016, 10.1016/j.media.2016.02.010",
        "the package nlsam (GPL-3.0-or-later) and SciPy below 1.17; b-values, b-vectors, a b0, "
        "5 directions; minutes",
        package="nlsam",
    ),
    "nlmeans": Entry(
        "dwiser.methods.peers.nlmeans:NLMeans",
        "Non-local means of each volume by itself (DIPY)",
        "Coupé, Yger, Prima, Hellier, Kervrann, Barillot: An Optimized Blockwise Nonlocal Means "
        "Denoising Filter for 3-D Magnetic Resonance Images, IEEE TMI 2008, "
        "10.1109/TMI.2007.906087",
        "b-values",
    ),
    "gaussian": Entry(
        "dwiser.methods.gaussian:Gaussian",
        "A Gaussian blur inside the mask: what every comparison must beat",
        "no publication",
        "b-values",
    ),
    "identity": Entry(
        "dwiser.methods.identity:Identity",
        "The scan as it is: the row that every other is compared with",
        "no publication",
        "nothing",
    ),
}


def find(name: str) -> Entry:
    """The entry of a method; an unknown name is answered with the nearest known one."""
    if name not in METHODS:
        raise unknown("method", name, METHODS, code=Code.METHOD_UNKNOWN)
    return METHODS[name]


def method_class(name: str) -> Any:
    """The class of a method.

    Raises
    ------
    InputError
        For an unknown name, and for a network where PyTorch is not installed.
    """
    entry = find(name)
    if entry.network:
        require_torch(name, f"take --method {DEFAULT_METHOD}")
    return entry.load()


def build(
    name: str = DEFAULT_METHOD,
    preset: str = DEFAULT_PRESET,
    settings: dict[str, Any] | None = None,
) -> Denoiser:
    """A method with a preset's values, then the user's own on top.

    Parameters
    ----------
    settings : field → value; text is parsed, as from the command line.

    Raises
    ------
    InputError
        For an unknown method, preset, field or value; the nearest name is suggested. For a
        network where PyTorch is not installed.
    """
    cls = method_class(name)
    presets: Presets = cls().capabilities.presets
    if preset not in presets and not (preset == DEFAULT_PRESET and not presets):
        raise unknown(
            f"preset of {name}", preset, presets or [DEFAULT_PRESET], code=Code.PRESET_UNKNOWN
        )
    values = {field: s.value for field, s in presets.get(preset, {}).items()}
    chosen = {field: parse(cls, field, str(v)) for field, v in (settings or {}).items()}
    method: Denoiser = cls(**(values | chosen))
    return method


def settings_of(pairs: list[str]) -> dict[str, str]:
    """``field=value`` texts as a dict.

    Raises
    ------
    InputError
        For a text that is no ``field=value``.
    """
    settings = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field.strip():
            raise InputError(
                f"'{pair}' is no setting: write --set field=value.", code=Code.SETTING_VALUE
            )
        settings[field.strip()] = value.strip()
    return settings
