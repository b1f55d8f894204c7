/* Local principal components with optimal shrinkage, compiled: what local_pca.py and
   neighbours.py do with NumPy, without the passes over memory and the calls of LAPACK.

   Patches are small (7, 27 or 125 voxels of some 5 to 40 channels) and many. Sixteen of them are
   worked on at once, one in each lane of the processor's vectors: their Gram matrices are
   diagonalised together by Jacobi's rotations (Golub & Van Loan, Matrix Computations, 8.5), which
   are the same sequence of places for every matrix.

   Arrays come by the buffer protocol, in C order; all lengths are checked before anything is read.
   Python's lock is not held while numbers are worked on. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "buffers.h"
#include "vectors.h"

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#define MODE unsigned mode = _mm_getcsr() /* denormal numbers are slow on x86: they are zeros */
#define FAST _mm_setcsr(mode | 0x8040)
#define AS_BEFORE _mm_setcsr(mode)
#else
#define MODE
#define FAST
#define AS_BEFORE
#endif

#define LANES 16
#define SWEEPS 12
#define CONVERGED 1e-13f /* squares beside the diagonal over the diagonal's: 3e-7 of a vector */
#define TINY 1e-15f
#define MOST 64 /* rows of a matrix */

/* Lanes in a row of so large a matrix: an odd number of them keeps rows from the same places of
   the cache. */
#define ROW(size) (((size) | 1) * LANES)

/* Rows of a patch are padded with zeros to whole units, so that vectors are never broken. */
#define WIDE(size) (((size) + UNIT - 1) / UNIT * UNIT)
#define FOURS(rows) (((rows) + 3) / 4 * 4)

/* Lanes never overlap: without this word a compiler asks so before each of them. */
#if defined(__clang__)
#define EACH_LANE _Pragma("clang loop vectorize(assume_safety)") for (int l = 0; l < LANES; l++)
#elif defined(__GNUC__)
#define EACH_LANE _Pragma("GCC ivdep") for (int l = 0; l < LANES; l++)
#else
#define EACH_LANE for (int l = 0; l < LANES; l++)
#endif

typedef struct {
    const float *values;   /* (n, channels); all that is outside is 0 */
    const int64_t *index;  /* flat padded field of view: a voxel's number, n outside */
    const int64_t *middles; /* places of the patches' centres in it */
    const int64_t *steps;  /* from a centre to the patch's voxels */
    Py_ssize_t outside, channels, patches, samples;
} Patches;

/* ---- sixteen symmetric matrices: eigenvalues on the diagonal, vectors in the rows of v ---- */

/* Cosine and sine that make a place beside the diagonal 0; the diagonal and the place change. */
INLINE void angle(float *restrict app, float *restrict aqq,
                                                        float *restrict apq, float *restrict c,
                                                        float *restrict s)
{
    float square[LANES], inverse[LANES], cosine[LANES], secant[LANES];
    EACH_LANE {
        const float half = 0.5f * fabsf(aqq[l] - app[l]) + TINY;
        square[l] = half * half + apq[l] * apq[l];
    }
    EACH_LANE inverse[l] = 1.0f / sqrtf(square[l]);
    EACH_LANE {
        const float half = 0.5f * fabsf(aqq[l] - app[l]) + TINY;
        cosine[l] = 0.5f + 0.5f * half * inverse[l]; /* of the angle, squared: 0.5 to 1 */
    }
    EACH_LANE secant[l] = 1.0f / sqrtf(cosine[l]);
    EACH_LANE {
        const float along = aqq[l] < app[l] ? -0.5f : 0.5f;
        const float off = apq[l], sine = along * off * inverse[l] * secant[l];
        const float turned = cosine[l] * secant[l];
        c[l] = turned;
        s[l] = sine;
        app[l] -= sine * secant[l] * off;
        aqq[l] += sine * secant[l] * off;
        apq[l] = 0.0f;
    }
}

INLINE void turn(float *restrict x, float *restrict y,
                                                       const float *restrict c,
                                                       const float *restrict s)
{
    EACH_LANE {
        const float xl = x[l], yl = y[l];
        x[l] = c[l] * xl - s[l] * yl;
        y[l] = s[l] * xl + c[l] * yl;
    }
}

/* The squares beside the diagonal against those on it, in every lane. */
INLINE int going_on(const float *a, int size, int row)
{
    float beside[LANES] = {0}, on[LANES] = {0};
    int going = 0;
    for (int i = 0; i < size; i++) {
        EACH_LANE on[l] += a[i * row + i * LANES + l] * a[i * row + i * LANES + l];
        for (int j = i + 1; j < size; j++)
            EACH_LANE beside[l] += a[i * row + j * LANES + l] * a[i * row + j * LANES + l];
    }
    EACH_LANE going |= beside[l] > CONVERGED * on[l];
    return going;
}

/* Rounds of a tournament: in each, every row meets one other, so that the angles of a round do not
   wait for each other. a holds the upper triangles, and ends diagonal; v ends as the vectors. */
VECTORS static void rotate_all(float *restrict a, float *restrict v, int size)
{
    const int row = ROW(size), even = size + size % 2;
    int first[MOST / 2], second[MOST / 2];
    float c[MOST / 2][LANES], s[MOST / 2][LANES];
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) EACH_LANE v[i * row + j * LANES + l] = i == j;
    for (int sweep = 0; sweep < SWEEPS && going_on(a, size, row); sweep++)
        for (int round = 0; round < even - 1; round++) {
            int pairs = 0;
            for (int i = 0; i < even / 2; i++) {
                const int x = i ? (round + i) % (even - 1) : even - 1;
                const int y = (round + even - 1 - i) % (even - 1);
                if (x >= size || y >= size) continue; /* one rests where they are odd */
                first[pairs] = x < y ? x : y;
                second[pairs++] = x < y ? y : x;
            }
            for (int i = 0; i < pairs; i++) {
                const int p = first[i], q = second[i];
                angle(a + p * row + p * LANES, a + q * row + q * LANES, a + p * row + q * LANES,
                      c[i], s[i]);
            }
            for (int i = 0; i < pairs; i++) { /* rows and columns p and q, by where k stands */
                const int p = first[i], q = second[i];
                int k = 0;
                for (; k < p; k++)
                    turn(a + k * row + p * LANES, a + k * row + q * LANES, c[i], s[i]);
                for (k = p + 1; k < q; k++)
                    turn(a + p * row + k * LANES, a + k * row + q * LANES, c[i], s[i]);
                for (k = q + 1; k < size; k++)
                    turn(a + p * row + k * LANES, a + q * row + k * LANES, c[i], s[i]);
                for (k = 0; k < size; k++)
                    turn(v + p * row + k * LANES, v + q * row + k * LANES, c[i], s[i]);
            }
        }
}

/* ---- one patch ---- */

/* A voxel's number; what is no voxel's stands outside too, so that nothing else is read. */
static inline int64_t voxel(const Patches *p, Py_ssize_t patch, Py_ssize_t sample)
{
    const int64_t number = p->index[p->middles[patch] + p->steps[sample]];
    return (uint64_t)number < (uint64_t)p->outside ? number : p->outside;
}

/* x (samples in fours, wide): the patch's values without their mean, 0 outside and beyond the channels. */
VECTORS static void centre(const Patches *p, Py_ssize_t patch, float *restrict x,
                           float *restrict mean, float *restrict held, float *count)
{
    const Py_ssize_t k = p->channels, wide = WIDE(k);
    float total = 0.0f;
    memset(mean, 0, wide * sizeof *mean);
    for (Py_ssize_t o = 0; o < p->samples; o++) {
        const int64_t number = voxel(p, patch, o);
        const float *from = p->values + number * k;
        float *to = x + o * wide;
        held[o] = number != p->outside;
        if (number == p->outside) {
            memset(to, 0, wide * sizeof *to);
            continue;
        }
        total += 1.0f;
        for (Py_ssize_t j = k; j < wide; j++) to[j] = 0.0f;
        for (Py_ssize_t j = 0; j < k; j++) {
            to[j] = from[j];
            mean[j] += from[j];
        }
    }
    for (Py_ssize_t j = 0; j < k; j++) mean[j] /= total;
    for (Py_ssize_t o = 0; o < p->samples; o++)
        for (Py_ssize_t j = 0; j < wide; j++) x[o * wide + j] = (x[o * wide + j] - mean[j]) * held[o];
    memset(x + p->samples * wide, 0, (FOURS(p->samples) - p->samples) * wide * sizeof *x);
    *count = total;
}

/* Four rows of a sum of products at once, for a unit of columns: to stay in registers.
   out[r, l] = Σ_m a[r * down + m * along] b[m * wide + l] */
INLINE void four_rows(
    const float *restrict a, Py_ssize_t down, Py_ssize_t along, const float *restrict b,
    Py_ssize_t wide, Py_ssize_t inner, float *restrict out)
{
    Unit first = {0}, second = {0}, third = {0}, fourth = {0};
    for (Py_ssize_t m = 0; m < inner; m++) {
        const float *from = b + m * wide, *factor = a + m * along;
        ADD(first, factor[0], from);
        ADD(second, factor[down], from);
        ADD(third, factor[2 * down], from);
        ADD(fourth, factor[3 * down], from);
    }
    PUT(first, out);
    PUT(second, out + wide);
    PUT(third, out + 2 * wide);
    PUT(fourth, out + 3 * wide);
}

/* The upper triangle of g (wide, wide) = xᵀx over the rows of x (rows, wide). */
VECTORS static void gram(const float *restrict x, Py_ssize_t rows, Py_ssize_t size,
                         float *restrict g)
{
    const Py_ssize_t wide = WIDE(size);
    for (Py_ssize_t i = 0; i < size; i += 4)
        for (Py_ssize_t j = i / UNIT * UNIT; j < wide; j += UNIT)
            four_rows(x + i, 1, wide, x + j, wide, rows, g + i * wide + j);
}

/* out (rows in fours, wide) = a (rows in fours, inner; its own stride) b (inner, wide) */
VECTORS static void product(const float *restrict a, Py_ssize_t stride, const float *restrict b,
                            float *restrict out, Py_ssize_t rows, Py_ssize_t inner,
                            Py_ssize_t wide)
{
    for (Py_ssize_t i = 0; i < rows; i += 4)
        for (Py_ssize_t j = 0; j < wide; j += UNIT)
            four_rows(a + i * stride, stride, 1, b + j, wide, inner, out + i * wide + j);
}

/* The optimal shrinker of Gavish & Donoho: see shrinkage() in local_pca.py. */
static float shrunk(float ratio, float aspect)
{
    const float edge = 1.0f + sqrtf(aspect);
    if (!(ratio > edge * edge)) return 0.0f;
    const float middle = ratio - aspect - 1.0f, square = middle * middle - 4.0f * aspect;
    return square > 0.0f ? sqrtf(square) / ratio : 0.0f;
}

/* f (wide, wide) = Σ weight v vᵀ, and the sum of the weights */
VECTORS static float filter_of(const float *restrict a, const float *restrict v, int lane,
                               int size, float aspect, float *restrict vector,
                               float *restrict f)
{
    const int row = ROW(size), wide = WIDE(size);
    float freedom = 0.0f;
    memset(f, 0, (size_t)wide * wide * sizeof *f);
    for (int i = size; i < wide; i++) vector[i] = 0.0f;
    for (int c = 0; c < size; c++) {
        const float weight = shrunk(a[c * row + c * LANES + lane], aspect);
        if (weight <= 0.0f) continue;
        freedom += weight;
        for (int i = 0; i < size; i++) vector[i] = v[c * row + i * LANES + lane];
        for (int i = 0; i < size; i++) {
            const float factor = weight * vector[i];
            for (int j = 0; j < wide; j++) f[i * wide + j] += factor * vector[j];
        }
    }
    return freedom;
}

/* Sums of voxels times their trust (rows, channels) and of the trust, from voxel number `first` on. */
typedef struct {
    float *total, *weight;
    Py_ssize_t first, rows;
} Sums;

#define NO_MEMORY 1
#define NO_ROOM 2

/* All patches, denoised and added to the sums one after another. */
VECTORS static int denoise(const Patches *p, float noise, float share, const Sums *sums)
{
    const Py_ssize_t k = p->channels, o = p->samples, wide = WIDE(k), values = FOURS(o) * wide;
    const int few = o < k, size = (int)(few ? o : k), padded = WIDE(size);
    const int row = ROW(size);
    const size_t square = (size_t)padded * padded, all = (size_t)size * row;
    const size_t across = (size_t)k * WIDE(o); /* of a patch turned: its channels by its samples */
    const size_t room = 2 * all + LANES * (values + wide + o + 1) + 2 * square + values + across
                        + padded + LANES;
    float *memory = malloc(room * sizeof *memory);
    if (memory == NULL) return NO_MEMORY;
    int failed = 0;
    const size_t line = LANES * sizeof *memory; /* lanes begin where a line of the cache does */
    float *a = (float *)(((uintptr_t)memory + line - 1) / line * line), *v = a + all, *x = v + all;
    float *mean = x + LANES * values, *held = mean + LANES * wide, *count = held + LANES * o;
    float *g = count + LANES, *f = g + square, *flat = f + square, *turned = flat + values;
    float *vector = turned + across;

    for (Py_ssize_t first = 0; first < p->patches && !failed; first += LANES) {
        const int lanes = (int)(p->patches - first < LANES ? p->patches - first : LANES);
        memset(a, 0, all * sizeof *a);
        for (int l = 0; l < lanes; l++) {
            float *own = x + l * values;
            centre(p, first + l, own, mean + l * wide, held + l * o, count + l);
            if (few) {
                memset(turned, 0, across * sizeof *turned);
                for (Py_ssize_t i = 0; i < o; i++)
                    for (Py_ssize_t j = 0; j < k; j++) turned[j * padded + i] = own[i * wide + j];
                gram(turned, k, o, g);
            } else {
                gram(own, o, k, g);
            }
            const float scale = 1.0f / (noise * (count[l] > 2.0f ? count[l] - 1.0f : 1.0f));
            for (int i = 0; i < size; i++)
                for (int j = i; j < size; j++)
                    a[i * row + j * LANES + l] = g[i * padded + j] * scale;
        }
        rotate_all(a, v, size);
        for (int l = 0; l < lanes; l++) {
            const float *own = x + l * values, *middle = mean + l * wide;
            const float aspect = (float)k / (count[l] * share);
            const float freedom = filter_of(a, v, l, size, aspect, vector, f)
                                  + (float)k / count[l];
            if (few) product(f, padded, own, flat, o, o, wide);
            else product(own, wide, f, flat, o, k, wide);
            for (Py_ssize_t i = 0; i < o; i++) {
                const int64_t number = voxel(p, first + l, i), at = number - sums->first;
                if (number == p->outside) continue;
                if ((uint64_t)at >= (uint64_t)sums->rows) {
                    failed = NO_ROOM;
                    continue;
                }
                float *to = sums->total + at * k;
                sums->weight[at] += 1.0f / freedom;
                for (Py_ssize_t j = 0; j < k; j++)
                    to[j] += (flat[i * wide + j] + middle[j]) * (1.0f / freedom);
            }
        }
    }
    free(memory);
    return failed;
}

VECTORS static void means(const Patches *p, float *out)
{
    for (Py_ssize_t i = 0; i < p->patches; i++) {
        float *to = out + i * p->channels;
        Py_ssize_t count = 0;
        memset(to, 0, p->channels * sizeof *to);
        for (Py_ssize_t o = 0; o < p->samples; o++) {
            const int64_t number = voxel(p, i, o);
            if (number == p->outside) continue;
            const float *from = p->values + number * p->channels;
            count++;
            for (Py_ssize_t j = 0; j < p->channels; j++) to[j] += from[j];
        }
        const float scale = count ? 1.0f / (float)count : 0.0f;
        for (Py_ssize_t j = 0; j < p->channels; j++) to[j] *= scale;
    }
}

/* ---- Python's side ---- */

enum { VALUES, INDEX, MIDDLES, STEPS, FIRST_OUT, BUFFERS = 6 };

/* Buffers of the arguments: the four of Patches, then `outputs` writable ones. */
static int take(PyObject *const *objects, int outputs, Py_buffer *buffers, Patches *p)
{
    for (int i = 0; i < FIRST_OUT + outputs; i++) {
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (i < FIRST_OUT ? 0 : PyBUF_WRITABLE);
        if (PyObject_GetBuffer(objects[i], buffers + i, flags) < 0) {
            release(buffers, i);
            return -1;
        }
        const int whole = i == INDEX || i == MIDDLES || i == STEPS;
        const int right = whole ? holds(buffers + i, "lq", 8) : holds(buffers + i, "f", 4);
        const int dimensions = i == VALUES ? 2 : i < FIRST_OUT ? 1 : buffers[i].ndim;
        if (!right || buffers[i].ndim != dimensions) {
            release(buffers, i + 1);
            PyErr_SetString(PyExc_TypeError, "float32 values and int64 places are asked for");
            return -1;
        }
    }
    p->values = buffers[VALUES].buf;
    p->index = buffers[INDEX].buf;
    p->middles = buffers[MIDDLES].buf;
    p->steps = buffers[STEPS].buf;
    p->outside = buffers[VALUES].shape[0];
    p->channels = buffers[VALUES].shape[1];
    p->patches = buffers[MIDDLES].shape[0];
    p->samples = buffers[STEPS].shape[0];
    const Py_ssize_t places = buffers[INDEX].shape[0];
    int64_t low = 0, high = 0;
    for (Py_ssize_t o = 0; o < p->samples; o++) {
        if (p->steps[o] < low) low = p->steps[o];
        if (p->steps[o] > high) high = p->steps[o];
    }
    int inside = low > -places && high < places; /* so that no sum of places overflows */
    for (Py_ssize_t i = 0; i < p->patches && inside; i++) {
        const int64_t middle = p->middles[i];
        inside = middle >= 0 && middle < places && middle + low >= 0 && middle + high < places;
    }
    const int small = p->samples <= MOST || p->channels <= MOST;
    if (!inside || !small) {
        release(buffers, FIRST_OUT + outputs);
        PyErr_SetString(PyExc_ValueError, small ? "a patch reaches out of the index"
                                                : "a patch has too many voxels and channels");
        return -1;
    }
    return 0;
}

static int sizes(Py_buffer *buffers, int outputs, Py_ssize_t first, Py_ssize_t second)
{
    const Py_ssize_t need[2] = {first, second};
    for (int i = 0; i < outputs; i++)
        if (buffers[FIRST_OUT + i].len != need[i] * (Py_ssize_t)sizeof(float)) {
            release(buffers, FIRST_OUT + outputs);
            PyErr_SetString(PyExc_ValueError, "an array of results has another size");
            return -1;
        }
    return 0;
}

static PyObject *py_denoise(PyObject *self, PyObject *args)
{
    PyObject *o[BUFFERS];
    Py_buffer b[BUFFERS];
    Patches p;
    Py_ssize_t first;
    float noise, share;
    if (!PyArg_ParseTuple(args, "OOOOffnOO", o, o + 1, o + 2, o + 3, &noise, &share, &first, o + 4,
                          o + 5)
        || take(o, 2, b, &p) < 0)
        return NULL;
    const Py_ssize_t rows = b[5].len / (Py_ssize_t)sizeof(float);
    if (sizes(b, 2, rows * p.channels, rows) < 0) return NULL;
    if (first < 0 || first > p.outside) {
        release(b, BUFFERS);
        PyErr_SetString(PyExc_ValueError, "the sums begin outside of the voxels");
        return NULL;
    }
    const Sums sums = {b[4].buf, b[5].buf, first, rows};
    int failed;
    Py_BEGIN_ALLOW_THREADS
    MODE;
    FAST;
    failed = denoise(&p, noise, share, &sums);
    AS_BEFORE;
    Py_END_ALLOW_THREADS
    release(b, BUFFERS);
    if (failed == NO_MEMORY) return PyErr_NoMemory();
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "a patch reaches out of the sums");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *py_means(PyObject *self, PyObject *args)
{
    PyObject *o[BUFFERS];
    Py_buffer b[BUFFERS];
    Patches p;
    if (!PyArg_ParseTuple(args, "OOOOO", o, o + 1, o + 2, o + 3, o + 4)
        || take(o, 1, b, &p) < 0 || sizes(b, 1, p.patches * p.channels, 0) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    means(&p, b[4].buf);
    Py_END_ALLOW_THREADS
    release(b, FIRST_OUT + 1);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"denoise", py_denoise, METH_VARARGS,
     "denoise(values, index, middles, steps, noise, share, first, total, weight)"},
    {"means", py_means, METH_VARARGS, "means(values, index, middles, steps, out)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "patches", "Local principal components, compiled.", 0, methods,
};

PyMODINIT_FUNC PyInit_patches(void) { return PyModule_Create(&module); }
