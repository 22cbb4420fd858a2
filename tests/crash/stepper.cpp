#include "crash/stepper.hpp"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

namespace keystile::testing {

namespace {

constexpr unsigned char kBreak = 0xCC;

// The child's code is ours too: it was forked from us.
const unsigned char* code(std::uint64_t address) {
    return reinterpret_cast<const unsigned char*>(address);
}

// Enough of x86-64 to see `lock` among the prefixes, an `xchg` with memory (locked by itself), and
// `syscall`.
bool is_locked_or_system_call(std::uint64_t address) {
    const unsigned char* at = code(address);
    constexpr unsigned char kPrefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65};
    for (int i = 0; i < 8; ++i, ++at) {
        if (*at == 0xF0) return true;
        if (std::memchr(kPrefixes, *at, sizeof kPrefixes) == nullptr) break;
    }
    if (at[0] == 0x0F && at[1] == 0x05) return true;
    if ((*at & 0xF0) == 0x40) ++at;  // REX
    return (*at == 0x86 || *at == 0x87) && (at[1] >> 6) != 3;
}

bool is_in_vdso(std::uint64_t address) {
    const std::uint64_t vdso = ::getauxval(AT_SYSINFO_EHDR);
    return address >= vdso && address < vdso + 0x10000;  // no breakpoint there: the page is the kernel's
}

[[gnu::noinline]] void mark() {
    asm volatile("int3" ::: "memory");
}

}  // namespace

Traced::Traced(const std::function<void()>& prepare, const std::function<void()>& act) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(96);
        prepare();
        mark();
        act();
        mark();
        ::_exit(0);
    }
    is_stopped_ = await_trap();
}

Traced::~Traced() {
    kill();
}

void Traced::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) == pid_ && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    pid_ = -1;
    is_stopped_ = false;
}

bool Traced::await_trap() {
    int status = 0;
    while (::waitpid(pid_, &status, __WALL) < 0) {
        if (errno != EINTR) std::abort();
    }
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) return true;
    if (WIFSTOPPED(status)) {
        std::fprintf(stderr, "the traced process got signal %d\n", WSTOPSIG(status));
        return false;
    }
    pid_ = -1;
    return false;
}

std::uint64_t Traced::instruction() const {
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
    return registers.rip;
}

bool Traced::step() {
    if (!is_stopped_ || ::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) return false;
    is_stopped_ = await_trap();
    return is_stopped_;
}

bool Traced::run_to(std::uint64_t address) {
    errno = 0;
    const long word = ::ptrace(PTRACE_PEEKTEXT, pid_, address, nullptr);
    if (errno != 0) return false;
    const long broken = (word & ~0xFFL) | kBreak;
    if (::ptrace(PTRACE_POKETEXT, pid_, address, broken) != 0) return false;
    if (::ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0) return false;
    is_stopped_ = await_trap();
    if (!is_stopped_) return false;
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
    if (registers.rip != address + 1) return false;
    ::ptrace(PTRACE_POKETEXT, pid_, address, word);
    registers.rip = address;
    ::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers);
    return true;
}

Path record_path(Traced& child, const std::function<bool()>& has_changed) {
    Path path;
    bool is_effect = true;  // killed before the first instruction
    (void)has_changed();
    while (child.is_at_begin()) {
        const std::uint64_t address = child.instruction();
        path.address.push_back(address);
        path.is_effect.push_back(is_effect);
        if (*code(address) == kBreak) break;  // the end mark
        const bool is_special = is_locked_or_system_call(address);
        bool is_on = child.step();
        while (is_on && child.instruction() == address) is_on = child.step();  // `rep` stops in each turn
        if (!is_on) break;
        is_effect = is_special || has_changed();
    }
    return path;
}

bool kill_after(Traced& child, const Path& path, std::size_t n) {
    static const Path* counted_path = nullptr;
    static std::unordered_map<std::uint64_t, int> times;
    if (counted_path != &path) {
        counted_path = &path;
        times.clear();
        for (const std::uint64_t address : path.address) ++times[address];
    }
    std::size_t anchor = n;
    while (anchor > 0 && (times[path.address[anchor]] != 1 || is_in_vdso(path.address[anchor]))) --anchor;
    // From there to the same passing of the instruction as in the recording: what lies in between may
    // differ (the kernel's clock takes one turn more, a number has one digit more).
    const auto from = path.address.begin() + static_cast<std::ptrdiff_t>(anchor);
    const auto to = path.address.begin() + static_cast<std::ptrdiff_t>(n) + 1;
    auto passings = std::count(from, to, path.address[n]);
    bool is_there = anchor == 0 || child.run_to(path.address[anchor]);
    for (std::uint64_t last = 0; is_there;) {
        const std::uint64_t now = child.instruction();
        if (now == path.address[n] && now != last && --passings == 0) break;
        last = now;
        if (*code(now) == kBreak || !child.step()) is_there = false;
    }
    child.kill();
    return is_there;
}

}  // namespace keystile::testing
