/* The tensor of every voxel, by weighted least squares on the signals' logarithms: what
   prepare/tensor_fit.py does with NumPy in some twenty passes over arrays of all
   volumes. A block of voxels goes through all steps while it is in the cache.

   Arrays come by the buffer protocol, in C order; all lengths are checked before anything is read.
   Python's lock is not held while numbers are worked on. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "buffers.h"
#include "vectors.h"

#define BLOCK 32   /* voxels at once: one in each lane */
#define UNKNOWNS 7 /* the logarithm of the signal without weighting, and six of the tensor */
#define PAIRS 28   /* products of two of them */
#define LN2 0.693147180559945f
#define EACH for (int l = 0; l < BLOCK; l++)

/* log x of finite x >= 1, to the last digits: of the mantissa m in [√½, √2) as 2 artanh of
   (m − 1)/(m + 1), |.| < 0.1716, whose series ends where its terms do not count any more. */
INLINE void logarithms(float *restrict x)
{
    EACH {
        int32_t bits;
        memcpy(&bits, x + l, sizeof bits);
        const int32_t power = (bits - 0x3f3504f3) >> 23; /* √½ */
        bits -= (int32_t)((uint32_t)power << 23);
        float m;
        memcpy(&m, &bits, sizeof m);
        const float s = (m - 1.0f) / (m + 1.0f), q = s * s;
        const float series = q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
        x[l] = (float)power * LN2 + 2.0f * (s + s * series);
    }
}

/* exp x of x <= 0, below -87 as there: 2 to a whole power times the rest's series, |rest| < 0.347. */
INLINE void exponentials(float *restrict x)
{
    EACH x[l] = x[l] > -87.0f ? x[l] : -87.0f; /* on its own, or the rest is taken lane by lane */
    EACH {
        const int32_t power = (int32_t)(x[l] * (1.0f / LN2) - 0.5f);
        const float r = x[l] - (float)power * LN2;
        const float series = 1.0f + r * (1.0f + r * (1.0f / 2 + r * (1.0f / 6 + r * (1.0f / 24
                             + r * (1.0f / 120 + r * (1.0f / 720))))));
        const int32_t bits = (power + 127) << 23;
        float two;
        memcpy(&two, &bits, sizeof two);
        x[l] = series * two;
    }
}

/* out (count, BLOCK): Σ_v factors (volumes, count) x (volumes, BLOCK); count in fours. Eight sums
   at once stay in registers. */
INLINE void sums(const float *restrict factors, int count, const float *restrict x,
                 Py_ssize_t volumes, float *restrict out)
{
    for (int l = 0; l < BLOCK; l += 2 * UNIT)
        for (int k = 0; k < count; k += 4) {
            Unit a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0};
            float *to = out + k * BLOCK + l;
            for (Py_ssize_t v = 0; v < volumes; v++) {
                const float *from = x + v * BLOCK + l, *factor = factors + v * count + k;
                ADD(a, factor[0], from);
                ADD(b, factor[0], from + UNIT);
                ADD(c, factor[1], from);
                ADD(d, factor[1], from + UNIT);
                ADD(e, factor[2], from);
                ADD(f, factor[2], from + UNIT);
                ADD(g, factor[3], from);
                ADD(h, factor[3], from + UNIT);
            }
            PUT(a, to);
            PUT(b, to + UNIT);
            PUT(c, to + BLOCK);
            PUT(d, to + BLOCK + UNIT);
            PUT(e, to + 2 * BLOCK);
            PUT(f, to + 2 * BLOCK + UNIT);
            PUT(g, to + 3 * BLOCK);
            PUT(h, to + 3 * BLOCK + UNIT);
        }
}

/* Where element (i, j) of a symmetric matrix stands, i <= j. */
INLINE int place(int i, int j)
{
    return i * UNKNOWNS - i * (i - 1) / 2 + j - i;
}

/* x of A x = b in each lane, by A = RᵀDR as in prepare/small_matrices.py; both are overwritten. */
VECTORS static void solve(double (*restrict a)[BLOCK], double (*restrict b)[BLOCK], double tiny)
{
    for (int i = 0; i < UNKNOWNS; i++) {
        double *pivot = a[place(i, i)];
        EACH {
            const double size = pivot[l] < 0 ? -pivot[l] : pivot[l];
            pivot[l] = 1.0 / (size < tiny ? tiny : pivot[l]);
        }
        for (int j = i + 1; j < UNKNOWNS; j++) {
            double factor[BLOCK];
            EACH factor[l] = a[place(i, j)][l] * pivot[l];
            EACH b[j][l] -= factor[l] * b[i][l];
            for (int k = j; k < UNKNOWNS; k++)
                EACH a[place(j, k)][l] -= factor[l] * a[place(i, k)][l];
            EACH a[place(i, j)][l] = factor[l];
        }
    }
    for (int i = UNKNOWNS - 1; i >= 0; i--) {
        EACH b[i][l] *= a[place(i, i)][l];
        for (int j = i + 1; j < UNKNOWNS; j++) EACH b[i][l] -= a[place(i, j)][l] * b[j][l];
    }
}

/* The volumes' rows, with room to fours: design and what solves it plainly (volumes, 8), products
   of two columns (volumes, 28). */
typedef struct {
    const float *design, *inverse, *pairs;
    Py_ssize_t volumes;
} Scheme;

#define WIDE (UNKNOWNS + 1)

/* signals (volumes, n) over `unit`, below 1 as 1: out (7, n), the first less the unit's logarithm. */
VECTORS static void fit(const Scheme *s, const float *restrict signals, Py_ssize_t n, float unit,
                        double ridge, float *restrict logs, float *restrict weights,
                        double *restrict out)
{
    const Py_ssize_t volumes = s->volumes;
    const float inverse = 1.0f / unit;
    float solved[WIDE * BLOCK], normal[PAIRS * BLOCK];
    double a[PAIRS][BLOCK], b[UNKNOWNS][BLOCK];
    for (Py_ssize_t first = 0; first < n; first += BLOCK) {
        const int lanes = (int)(n - first < BLOCK ? n - first : BLOCK);
        float level[BLOCK] = {0}, highest[BLOCK];
        for (Py_ssize_t v = 0; v < volumes; v++) {
            float *to = logs + v * BLOCK;
            EACH to[l] = 1.0f;
            for (int l = 0; l < lanes; l++) to[l] = signals[v * n + first + l] * inverse;
            EACH to[l] = to[l] > 1.0f ? to[l] : 1.0f;
            logarithms(to);
            EACH level[l] += to[l];
        }
        EACH level[l] /= (float)volumes;
        for (Py_ssize_t v = 0; v < volumes; v++) EACH logs[v * BLOCK + l] -= level[l];
        sums(s->inverse, WIDE, logs, volumes, solved);
        for (int l = 0; l < BLOCK; l += UNIT)
            for (Py_ssize_t v = 0; v < volumes; v++) {
                const float *from = solved + l;
                float *to = weights + v * BLOCK + l;
                Unit expected = {0};
                for (int k = 0; k < UNKNOWNS; k++)
                    ADD(expected, s->design[v * WIDE + k], from + k * BLOCK);
                PUT(expected, to);
            }
        EACH highest[l] = -3.4e38f;
        for (Py_ssize_t v = 0; v < volumes; v++) {
            const float *to = weights + v * BLOCK;
            EACH highest[l] = to[l] > highest[l] ? to[l] : highest[l];
        }
        for (Py_ssize_t v = 0; v < volumes; v++) {
            float *to = weights + v * BLOCK;
            EACH to[l] = 2.0f * (to[l] - highest[l]);
            exponentials(to);
            EACH logs[v * BLOCK + l] *= to[l];
        }
        sums(s->pairs, PAIRS, weights, volumes, normal);
        sums(s->design, WIDE, logs, volumes, solved);
        double trace[BLOCK] = {0};
        for (int p = 0; p < PAIRS; p++) EACH a[p][l] = normal[p * BLOCK + l];
        for (int i = 0; i < UNKNOWNS; i++) EACH b[i][l] = solved[i * BLOCK + l];
        for (int i = 0; i < UNKNOWNS; i++) EACH trace[l] += a[place(i, i)][l];
        for (int i = 0; i < UNKNOWNS; i++) EACH a[place(i, i)][l] += ridge * trace[l];
        solve(a, b, 1e-30);
        EACH b[0][l] += level[l];
        for (int i = 0; i < UNKNOWNS; i++)
            for (int l = 0; l < lanes; l++) out[i * n + first + l] = b[i][l];
    }
}

/* ---- Python's side ---- */

enum { SIGNALS, DESIGN, INVERSE, PRODUCTS, OUT, BUFFERS };

static PyObject *py_fit(PyObject *self, PyObject *args)
{
    PyObject *o[BUFFERS];
    Py_buffer b[BUFFERS];
    float unit;
    double ridge;
    if (!PyArg_ParseTuple(args, "OOOOfdO", o, o + 1, o + 2, o + 3, &unit, &ridge, o + 4))
        return NULL;
    for (int i = 0; i < BUFFERS; i++) {
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (i == OUT ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(o[i], b + i, flags) < 0) {
            release(b, i);
            return NULL;
        }
        if (!holds(b + i, i == OUT ? "d" : "f", i == OUT ? 8 : 4) || b[i].ndim != 2) {
            release(b, i + 1);
            PyErr_SetString(PyExc_TypeError, "float32 signals and float64 results are asked for");
            return NULL;
        }
    }
    const Py_ssize_t volumes = b[SIGNALS].shape[0], n = b[SIGNALS].shape[1];
    const int right = volumes > 0 && b[DESIGN].shape[0] == volumes && b[DESIGN].shape[1] == WIDE
                      && b[INVERSE].shape[0] == volumes && b[INVERSE].shape[1] == WIDE
                      && b[PRODUCTS].shape[0] == volumes && b[PRODUCTS].shape[1] == PAIRS
                      && b[OUT].shape[0] == UNKNOWNS && b[OUT].shape[1] == n && unit > 0.0f;
    float *room = right ? malloc((size_t)volumes * BLOCK * 2 * sizeof *room) : NULL;
    if (room != NULL) {
        const Scheme scheme = {b[DESIGN].buf, b[INVERSE].buf, b[PRODUCTS].buf, volumes};
        Py_BEGIN_ALLOW_THREADS
        fit(&scheme, b[SIGNALS].buf, n, unit, ridge, room, room + volumes * BLOCK, b[OUT].buf);
        Py_END_ALLOW_THREADS
        free(room);
    }
    release(b, BUFFERS);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "an array has another size, or the unit is not above 0");
        return NULL;
    }
    if (room == NULL) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fit", py_fit, METH_VARARGS, "fit(signals, design, inverse, pairs, unit, ridge, out)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "tensors", "The tensor of every voxel, compiled.", 0, methods,
};

PyMODINIT_FUNC PyInit_tensors(void) { return PyModule_Create(&module); }
