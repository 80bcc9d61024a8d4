// What all verilated models share behind their C ABI; the generated shim of a model adds the copying
// of its ports. See sim/rtl/build/shim.rs.

#ifndef MACROMAC_SHIM_HPP_
#define MACROMAC_SHIM_HPP_

#include "verilated.h"

#include <cstdint>
#include <memory>
#include <string>

#if VM_TRACE
#include "verilated_fst_c.h"
#endif

namespace macromac {

/// Where the output of the model that is being evaluated in this thread goes.
extern thread_local std::string* t_text;

/// Thrown by vl_fatal.
struct Fatal {
    std::string message;
};

/// Bits of the value that settle and edge return; the Rust side has the same list (model.rs).
enum Status : uint32_t {
    kError = 1,   // a failed assertion, $error, $stop, $fatal or a simulation fault
    kText = 2,    // the model printed something
    kFinish = 4,  // $finish
};

/// Ports is generated per model: copies inputs and outputs and drives the clock.
template <class Ports>
class Model final {
    using Top = typename Ports::Top;

    VerilatedContext m_context;
    std::unique_ptr<Top> m_top;
#if VM_TRACE
    std::unique_ptr<VerilatedFstC> m_trace;
#endif
    std::string m_text;
    uint64_t m_cycle = 0;
    bool m_dead = false;

    // Makes this model the one that the runtime's thread-local state speaks of.
    class Scope final {
    public:
        explicit Scope(Model& model) {
            Verilated::threadContextp(&model.m_context);
            t_text = &model.m_text;
        }
        ~Scope() { t_text = nullptr; }
    };

    template <class Body>
    uint32_t guarded(Body body) {
        Scope scope{*this};
        if (!m_dead) {
            try {
                body();
            } catch (const Fatal& fatal) {
                m_text += fatal.message;
                m_dead = true;
            }
        }
        return (m_dead || m_context.errorCount() ? kError : 0u) | (m_text.empty() ? 0u : kText)
               | (m_context.gotFinish() ? kFinish : 0u);
    }

    void dump(uint64_t offset) {
#if VM_TRACE
        if (m_trace) m_trace->dump(m_cycle * 10 + offset);
#else
        (void)offset;
#endif
    }

public:
    explicit Model(uint64_t seed) {
        Scope scope{*this};
        m_context.fatalOnError(false);
        m_context.errorLimit(0x7fffffff);
        m_context.assertOn(true);
        m_context.randReset(2);  // random, so that a missing reset shows
        m_context.randSeed(static_cast<int>(seed % 0x7fffffffu) + 1);  // 0 would mean "by time"
#if VM_TRACE
        m_context.traceEverOn(true);
#endif
        m_top.reset(new Top{&m_context, "TOP"});
    }

    ~Model() {
        Scope scope{*this};
        trace_close();
        m_top->final();
        m_top.reset();
    }

    /// Clock low, inputs applied, combinational logic settled, outputs read.
    uint32_t settle(const typename Ports::In* in, typename Ports::Out* out) {
        return guarded([&] {
            Ports::set_clock(*m_top, 0);
            Ports::put(*m_top, *in);
            m_top->eval();
            Ports::get(*m_top, *out);
        });
    }

    /// Rising edge; outputs are not copied, for they are read in the next settle.
    uint32_t edge() {
        return guarded([&] {
            dump(0);
            m_context.time(m_cycle * 10 + 5);
            Ports::set_clock(*m_top, 1);
            m_top->eval();
            dump(5);
            ++m_cycle;
            m_context.time(m_cycle * 10);
        });
    }

    bool trace_open(const char* path) {
#if VM_TRACE
        Scope scope{*this};
        trace_close();
        m_trace.reset(new VerilatedFstC);
        m_top->trace(m_trace.get(), 99);
        m_trace->open(path);
        if (!m_trace->isOpen()) m_trace.reset();
        return m_trace != nullptr;
#else
        (void)path;
        return false;
#endif
    }

    void trace_close() {
#if VM_TRACE
        if (m_trace) m_trace->close();
        m_trace.reset();
#endif
    }

    const char* text() const { return m_text.c_str(); }

    /// Forgets text and errors, so that a run may go on.
    void clear() {
        m_text.clear();
        m_context.errorCount(0);
    }
};

}  // namespace macromac

#endif
