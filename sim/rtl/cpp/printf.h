// Included before everything else: what Verilator's code calls and runtime.cpp defines.
#ifndef MACROMAC_PRINTF_H_
#define MACROMAC_PRINTF_H_
#ifdef __cplusplus
extern "C"
#endif
int macromac_vl_printf(const char* format, ...);

#ifdef __cplusplus
// Verilator's runtime calls it, but declares it only where it defines it.
void vl_stop_maybe(const char* filename, int linenum, const char* hier, bool maybe);
#endif
#endif
