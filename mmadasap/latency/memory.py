"""Memory between forward passes, which decides what they take on a processor."""
import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """Lets this process keep memory it has freed, as inference servers and device allocators do.

    Else glibc gives large feature maps back to the system at moments that hang on everything allocated before, and each
    page costs a fault when it is used again: on a virtual machine more than the normalisation of what it holds. Does
    nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
