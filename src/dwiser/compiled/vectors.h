/* Vectors of floats, where a compiler has them, and functions for processors with more of them. */

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define VECTORS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VECTORS
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#if defined(__x86_64__)
#define UNIT 8 /* floats in a vector: a compiler splits longer ones badly */
#else
#define UNIT 4
#endif
#if defined(__GNUC__)
typedef float Unit __attribute__((vector_size(UNIT * 4), aligned(4), may_alias));
#define TIMES(out, a, b) out = (a) * (b)
#define SUM(sum, a) sum += (a)
#define ADD(sum, factor, from) sum += (factor) * *(const Unit *)(from)
#define PUT(sum, to) *(Unit *)(to) = sum
#else
typedef struct { float part[UNIT]; } Unit;
/* Their arguments are not to hold l. */
#define OF_UNIT for (int l = 0; l < UNIT; l++)
#define TIMES(out, a, b) OF_UNIT (out).part[l] = (a).part[l] * (b).part[l]
#define SUM(sum, a) OF_UNIT (sum).part[l] += (a).part[l]
#define ADD(sum, factor, from) OF_UNIT (sum).part[l] += (factor) * (from)[l]
#define PUT(sum, to) OF_UNIT (to)[l] = (sum).part[l]
#endif
