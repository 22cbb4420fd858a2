#include "explore/fiber.hpp"

#include <cstdint>

// void keystile_switch_stack(void** save, void* to): what the ABI lets a call change needs no saving.
asm(R"(
.text
.type keystile_switch_stack, @function
keystile_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size keystile_switch_stack, .-keystile_switch_stack
.type keystile_first_entry, @function
keystile_first_entry:
    movq %r12, %rdi
    callq *%r13
    ud2
.size keystile_first_entry, .-keystile_first_entry
)");

extern "C" {
__attribute__((visibility("hidden"))) void keystile_switch_stack(void** save, void* to);
__attribute__((visibility("hidden"))) void keystile_first_entry();
}

namespace keystile::explore {

void Fiber::start(Entry entry, void* argument) noexcept {
    auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + kStackBytes) & ~std::uintptr_t{15};
    auto* at = reinterpret_cast<std::uintptr_t*>(top);
    *--at = reinterpret_cast<std::uintptr_t>(&keystile_first_entry);
    *--at = 0;                                           // rbp
    *--at = 0;                                           // rbx
    *--at = reinterpret_cast<std::uintptr_t>(argument);  // r12
    *--at = reinterpret_cast<std::uintptr_t>(entry);     // r13
    *--at = 0;                                           // r14
    *--at = 0;                                           // r15
    fiber_at_ = at;
}

void Fiber::enter() noexcept {
    keystile_switch_stack(&caller_at_, fiber_at_);
}

void Fiber::leave() noexcept {
    keystile_switch_stack(&fiber_at_, caller_at_);
}

}  // namespace keystile::explore
