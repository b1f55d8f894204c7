/* Functions of each voxel alone, in one pass: tables that are interpolated in, and the polynomial of
   the angular response. What prepare/lookup.py and methods/splitq/angular_response.py do with
   NumPy in some ten to fifty passes over arrays that do not fit into the cache.

   Arrays come by the buffer protocol, float32 and in C order; all lengths are checked before
   anything is read. Python's lock is not held while numbers are worked on. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include "buffers.h"
#include "vectors.h"

#define BLOCK 256      /* values at once: what is between two steps stays in the cache */
#define SHAPES 15      /* monomials of two variables up to the fourth degree */
#define MONOMIALS 45   /* and up to the eighth */
#define UNIQUE 6       /* elements of a symmetric tensor */

/* The place's whole part, 0 to last - 1; what is no number is at 0. */
INLINE int32_t whole(float place, int32_t last)
{
    const float low = place > 0.0f ? place : 0.0f;
    const int32_t below = low < (float)last ? (int32_t)low : last - 1;
    return below;
}

/* out (functions, n): linear between the table's (functions, points); constant beyond its ends. */
VECTORS static void interpolate(const float *restrict values, Py_ssize_t functions,
                                Py_ssize_t points, float low, float inverse,
                                const float *restrict x, Py_ssize_t n, float *restrict out)
{
    const int32_t last = (int32_t)points - 1;
    const float most = (float)((double)last * (1.0 - 1e-6));
    int32_t below[BLOCK];
    float rest[BLOCK];
    for (Py_ssize_t first = 0; first < n; first += BLOCK) {
        const int count = (int)(n - first < BLOCK ? n - first : BLOCK);
        for (int i = 0; i < count; i++) {
            float place = (x[first + i] - low) * inverse;
            place = place < 0.0f ? 0.0f : place;
            place = place > most ? most : place;
            below[i] = whole(place, last);
            rest[i] = place - (float)below[i];
        }
        for (Py_ssize_t f = 0; f < functions; f++) {
            const float *table = values + f * points;
            float *to = out + f * n + first;
            for (int i = 0; i < count; i++) {
                const float start = table[below[i]];
                to[i] = rest[i] * (table[below[i] + 1] - start) + start;
            }
        }
    }
}

/* A place on an axis of so many points: inside it, the point below and the rest. */
INLINE int32_t on_axis(float place, int32_t points, float *rest)
{
    const float low = place < 0.0f ? 0.0f : place;
    const float inside = low > (float)(points - 1) ? (float)(points - 1) : low;
    const int32_t below = whole(inside, points - 1);
    *rest = inside - (float)below;
    return below;
}

INLINE float of_four(const float *at, Py_ssize_t columns,
                                                           float down, float across)
{
    const float first = at[0] + across * (at[1] - at[0]);
    const float second = at[columns] + across * (at[columns + 1] - at[columns]);
    return first + down * (second - first);
}

/* Linear between the table's (rows, columns) along both; constant beyond its ends. */
VECTORS static void bilinear(const float *restrict table, Py_ssize_t rows, Py_ssize_t columns,
                             const float *restrict row, const float *restrict column,
                             Py_ssize_t n, float *restrict out)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        float down, across;
        const int64_t r = on_axis(row[i], (int32_t)rows, &down);
        const int64_t c = on_axis(column[i], (int32_t)columns, &across);
        out[i] = of_four(table + r * columns + c, columns, down, across);
    }
}

/* The same of a table of (layers, rows, columns). */
VECTORS static void trilinear(const float *restrict table, const Py_ssize_t *size,
                              const float *restrict layer, const float *restrict row,
                              const float *restrict column, Py_ssize_t n, float *restrict out)
{
    const int64_t columns = size[2], plane = size[1] * columns;
    for (Py_ssize_t i = 0; i < n; i++) {
        float deep, down, across;
        const int64_t l = on_axis(layer[i], (int32_t)size[0], &deep);
        const int64_t r = on_axis(row[i], (int32_t)size[1], &down);
        const int64_t c = on_axis(column[i], (int32_t)columns, &across);
        const float *at = table + l * plane + r * columns + c;
        const float first = of_four(at, columns, down, across);
        out[i] = first + deep * (of_four(at + plane, columns, down, across) - first);
    }
}

/* D² of a symmetric tensor D: xx, yy, zz, xy, xz, yz. */
INLINE void squared(const float *d, float *square)
{
    const float xx = d[0], yy = d[1], zz = d[2], xy = d[3], xz = d[4], yz = d[5];
    square[0] = xx * xx + xy * xy + xz * xz;
    square[1] = xy * xy + yy * yy + yz * yz;
    square[2] = xz * xz + yz * yz + zz * zz;
    square[3] = xx * xy + xy * yy + xz * yz;
    square[4] = xx * xz + xy * yz + xz * zz;
    square[5] = xy * xz + yy * yz + yz * zz;
}

/* In what follows p = gᵀDg and q = gᵀD²g; tensors D (n, 6), and forms (6, directions) are x², y²,
   z², 2xy, 2xz, 2yz of the directions g. Monomials stand in the order 1, p, q, p², pq, q², p³, …

   out (n, directions): Σ_k coefficients (n, 15) monomial_k, up to the fourth degree. */
VECTORS static void polynomial(const float *restrict coefficients, const float *restrict tensors,
                               const float *restrict forms, Py_ssize_t n, Py_ssize_t directions,
                               float *restrict out)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        const float *d = tensors + i * UNIQUE, *b = coefficients + i * SHAPES;
        float *to = out + i * directions, square[UNIQUE];
        squared(d, square);
        for (Py_ssize_t m = 0; m < directions; m++) {
            float p = 0.0f, q = 0.0f;
            for (int u = 0; u < UNIQUE; u++) {
                p += d[u] * forms[u * directions + m];
                q += square[u] * forms[u * directions + m];
            }
            const float q0 = b[0] + q * (b[2] + q * (b[5] + q * (b[9] + q * b[14])));
            const float q1 = b[1] + q * (b[4] + q * (b[8] + q * b[13]));
            const float q2 = b[3] + q * (b[7] + q * b[12]);
            const float q3 = b[6] + q * b[11];
            to[m] = q0 + p * (q1 + p * (q2 + p * (q3 + p * b[10])));
        }
    }
}

/* sums (n, monomials up to the degree): Σ_m weights (n, directions) monomial_k; no weights: 1. */
VECTORS static void moments(const float *restrict weights, const float *restrict tensors,
                            const float *restrict forms, Py_ssize_t n, Py_ssize_t directions,
                            int degree, float *restrict sums)
{
    const int count = (degree + 1) * (degree + 2) / 2;
    Unit monomial[MONOMIALS], sum[MONOMIALS];
    for (Py_ssize_t i = 0; i < n; i++) {
        const float *d = tensors + i * UNIQUE;
        float square[UNIQUE];
        squared(d, square);
        memset(sum, 0, sizeof sum);
        for (Py_ssize_t first = 0; first < directions; first += UNIT) {
            const int some = (int)(directions - first < UNIT ? directions - first : UNIT);
            float w[UNIT] = {0}, p[UNIT] = {0}, q[UNIT] = {0};
            for (int l = 0; l < some; l++) {
                w[l] = weights ? weights[i * directions + first + l] : 1.0f;
                for (int u = 0; u < UNIQUE; u++) {
                    p[l] += d[u] * forms[u * directions + first + l];
                    q[l] += square[u] * forms[u * directions + first + l];
                }
            }
            Unit along, squares;
            memcpy(&along, p, sizeof along);
            memcpy(&squares, q, sizeof squares);
            memcpy(monomial, w, sizeof *monomial);
            SUM(sum[0], monomial[0]);
            for (int of = 1, before = 0; of <= degree; before += of, of++) {
                const int now = before + of; /* of + 1 of this degree, after those of the last */
                TIMES(monomial[now], monomial[before], along);
                for (int j = 0; j < of; j++)
                    TIMES(monomial[now + 1 + j], monomial[before + j], squares);
                for (int j = 0; j <= of; j++) SUM(sum[now + j], monomial[now + j]);
            }
        }
        for (int k = 0; k < count; k++) {
            float parts[UNIT], total = 0.0f;
            memcpy(parts, sum + k, sizeof parts);
            for (int l = 0; l < UNIT; l++) total += parts[l];
            sums[i * count + k] = total;
        }
    }
}

/* ---- Python's side ---- */

#define MOST_ARRAYS 5
#define MOST_POINTS (1 << 22) /* along an axis: float32 tells them apart */

/* Buffers of float32 arrays, the last of them to be written. */
static int take(PyObject *const *objects, int count, Py_buffer *buffers)
{
    for (int i = 0; i < count; i++) {
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (i < count - 1 ? 0 : PyBUF_WRITABLE);
        if (PyObject_GetBuffer(objects[i], buffers + i, flags) < 0) {
            release(buffers, i);
            return -1;
        }
        if (!holds(buffers + i, "f", 4)) {
            release(buffers, i + 1);
            PyErr_SetString(PyExc_TypeError, "float32 arrays are asked for");
            return -1;
        }
    }
    return 0;
}

static Py_ssize_t length(const Py_buffer *buffer)
{
    return buffer->len / (Py_ssize_t)sizeof(float);
}

static PyObject *wrong_size(Py_buffer *buffers, int count)
{
    release(buffers, count);
    PyErr_SetString(PyExc_ValueError, "an array has another size");
    return NULL;
}

static PyObject *py_interpolate(PyObject *self, PyObject *args)
{
    PyObject *o[3];
    Py_buffer b[3];
    float low, inverse;
    if (!PyArg_ParseTuple(args, "OffOO", o, &low, &inverse, o + 1, o + 2) || take(o, 3, b) < 0)
        return NULL;
    if (b[0].ndim != 2 || b[0].shape[1] < 2 || b[0].shape[1] > MOST_POINTS
        || length(b + 2) != b[0].shape[0] * length(b + 1))
        return wrong_size(b, 3);
    Py_BEGIN_ALLOW_THREADS
    interpolate(b[0].buf, b[0].shape[0], b[0].shape[1], low, inverse, b[1].buf, length(b + 1),
                b[2].buf);
    Py_END_ALLOW_THREADS
    release(b, 3);
    Py_RETURN_NONE;
}

/* Whether b[0] has so many axes, each of two points or more, and the rest are of one length. */
static int is_table(const Py_buffer *b, int axes)
{
    int right = b[0].ndim == axes;
    for (int a = 0; right && a < axes; a++)
        right = b[0].shape[a] >= 2 && b[0].shape[a] <= MOST_POINTS;
    for (int a = 1; right && a <= axes; a++) right = length(b + a) == length(b + axes + 1);
    return right;
}

static PyObject *py_bilinear(PyObject *self, PyObject *args)
{
    PyObject *o[MOST_ARRAYS];
    Py_buffer b[MOST_ARRAYS];
    if (!PyArg_ParseTuple(args, "OOOO", o, o + 1, o + 2, o + 3) || take(o, 4, b) < 0) return NULL;
    if (!is_table(b, 2)) return wrong_size(b, 4);
    Py_BEGIN_ALLOW_THREADS
    bilinear(b[0].buf, b[0].shape[0], b[0].shape[1], b[1].buf, b[2].buf, length(b + 3), b[3].buf);
    Py_END_ALLOW_THREADS
    release(b, 4);
    Py_RETURN_NONE;
}

static PyObject *py_trilinear(PyObject *self, PyObject *args)
{
    PyObject *o[MOST_ARRAYS];
    Py_buffer b[MOST_ARRAYS];
    if (!PyArg_ParseTuple(args, "OOOOO", o, o + 1, o + 2, o + 3, o + 4) || take(o, 5, b) < 0)
        return NULL;
    if (!is_table(b, 3)) return wrong_size(b, 5);
    Py_BEGIN_ALLOW_THREADS
    trilinear(b[0].buf, b[0].shape, b[1].buf, b[2].buf, b[3].buf, length(b + 4), b[4].buf);
    Py_END_ALLOW_THREADS
    release(b, 5);
    Py_RETURN_NONE;
}

static PyObject *py_polynomial(PyObject *self, PyObject *args)
{
    PyObject *o[MOST_ARRAYS];
    Py_buffer b[MOST_ARRAYS];
    if (!PyArg_ParseTuple(args, "OOOO", o, o + 1, o + 2, o + 3) || take(o, 4, b) < 0) return NULL;
    const Py_ssize_t n = length(b) / SHAPES, directions = length(b + 2) / UNIQUE;
    if (length(b) != n * SHAPES || length(b + 1) != n * UNIQUE
        || length(b + 2) != directions * UNIQUE || length(b + 3) != n * directions)
        return wrong_size(b, 4);
    Py_BEGIN_ALLOW_THREADS
    polynomial(b[0].buf, b[1].buf, b[2].buf, n, directions, b[3].buf);
    Py_END_ALLOW_THREADS
    release(b, 4);
    Py_RETURN_NONE;
}

static PyObject *py_moments(PyObject *self, PyObject *args)
{
    PyObject *o[MOST_ARRAYS], *weights;
    Py_buffer b[MOST_ARRAYS];
    int degree;
    if (!PyArg_ParseTuple(args, "OOOiO", &weights, o, o + 1, &degree, o + 2)) return NULL;
    const int arrays = weights == Py_None ? 3 : 4;
    if (weights != Py_None) { /* the one to be written stays the last */
        o[3] = o[2];
        o[2] = weights;
    }
    if (take(o, arrays, b) < 0) return NULL;
    const Py_ssize_t n = length(b) / UNIQUE, directions = length(b + 1) / UNIQUE;
    const Py_ssize_t count = (Py_ssize_t)(degree + 1) * (degree + 2) / 2;
    if (degree < 1 || count > MONOMIALS || length(b) != n * UNIQUE
        || length(b + 1) != directions * UNIQUE || length(b + arrays - 1) != n * count
        || (arrays == 4 && length(b + 2) != n * directions))
        return wrong_size(b, arrays);
    Py_BEGIN_ALLOW_THREADS
    moments(arrays == 4 ? b[2].buf : NULL, b[0].buf, b[1].buf, n, directions, degree,
            b[arrays - 1].buf);
    Py_END_ALLOW_THREADS
    release(b, arrays);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"interpolate", py_interpolate, METH_VARARGS, "interpolate(values, low, inverse, x, out)"},
    {"bilinear", py_bilinear, METH_VARARGS, "bilinear(table, row, column, out)"},
    {"trilinear", py_trilinear, METH_VARARGS, "trilinear(table, layer, row, column, out)"},
    {"polynomial", py_polynomial, METH_VARARGS, "polynomial(coefficients, tensors, forms, out)"},
    {"moments", py_moments, METH_VARARGS, "moments(weights, tensors, forms, degree, sums)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "pointwise", "Functions of each voxel alone, compiled.", 0, methods,
};

PyMODINIT_FUNC PyInit_pointwise(void) { return PyModule_Create(&module); }
