// Replaces the parts of Verilator's runtime that would end the process: in a testbench a failed
// assertion, $stop, $fatal or $finish is a result that the Rust side reports, never an abort.

#include "shim.hpp"

#include <cstdarg>
#include <cstdio>

namespace macromac {

thread_local std::string* t_text = nullptr;

}  // namespace macromac

// All output of the models ($display, assertion messages) comes through here (VL_PRINTF).
extern "C" int macromac_vl_printf(const char* format, ...) {
    va_list args;
    va_start(args, format);
    char line[4096];
    const int length = std::vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (macromac::t_text) {
        macromac::t_text->append(line);
    } else {
        std::fputs(line, stderr);
    }
    return length;
}

void vl_finish(const char*, int, const char*) VL_MT_UNSAFE {
    Verilated::threadContextp()->gotFinish(true);
}

// $stop, $fatal, $error and failed assertions; the message itself has already been printed.
void vl_stop_maybe(const char*, int, const char*, bool) VL_MT_UNSAFE {
    Verilated::threadContextp()->errorCountInc();
}

// Faults of the simulation itself (no convergence): the model cannot go on, so leave it.
void vl_fatal(const char* filename, int linenum, const char*, const char* msg) VL_MT_UNSAFE {
    throw macromac::Fatal{std::string{"%Error: "} + (filename ? filename : "") + ":"
                          + std::to_string(linenum) + ": " + (msg ? msg : "") + "\n"};
}
