/* What comes from Python by the buffer protocol: its type, and its end. */

#include <string.h>

/* Whether the elements have one of these types, in this processor's order of bytes. NumPy writes
   "f" where that is not named and "<f" where it is, as in what nibabel reads. */
static int holds(const Py_buffer *buffer, const char *types, Py_ssize_t size)
{
    const char *format = buffer->format;
    const uint16_t one = 1;
    const char native = *(const char *)&one ? '<' : '>';
    if (format[0] == native || format[0] == '=' || format[0] == '@') format++;
    return buffer->itemsize == size && format[0] != 0 && strchr(types, format[0]) != NULL;
}

static void release(Py_buffer *buffers, int count)
{
    for (int i = 0; i < count; i++) PyBuffer_Release(buffers + i);
}
