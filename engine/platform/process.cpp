#include "platform/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "platform/clock.hpp"
#include "platform/fork.hpp"

namespace keystile::engine {

namespace {

// The first bytes of a small file; empty if it cannot be read.
std::string slurp(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    char buffer[1024];
    const ssize_t bytes = ::read(fd, buffer, sizeof buffer);
    ::close(fd);
    return bytes > 0 ? std::string(buffer, static_cast<std::size_t>(bytes)) : std::string();
}

std::uint64_t inode_of(const char* path) noexcept {
    struct stat info{};
    return ::stat(path, &info) == 0 ? static_cast<std::uint64_t>(info.st_ino) : 0;
}

struct ProcStat {
    char state = '?';
    long threads = 0;
    std::uint64_t start_ticks = 0;
};

// proc(5): "pid (comm) state ..." and comm may hold anything, so count from the last parenthesis.
bool parse_proc_stat(const std::string& text, ProcStat* stat_out) {
    const std::size_t end_of_name = text.rfind(')');
    if (end_of_name == std::string::npos || end_of_name + 2 >= text.size()) return false;
    const char* field = text.c_str() + end_of_name + 2;
    stat_out->state = *field;
    constexpr int kThreadsField = 20, kStartField = 22;
    for (int number = 3; *field != '\0' && number <= kStartField; ++number) {
        if (number == kThreadsField) stat_out->threads = std::strtol(field, nullptr, 10);
        if (number == kStartField) stat_out->start_ticks = std::strtoull(field, nullptr, 10);
        field = std::strchr(field, ' ');
        if (field == nullptr) break;
        ++field;
    }
    return stat_out->start_ticks != 0;
}

void read_boot_id(std::uint64_t (&boot_id)[2]) {
    std::string hex = slurp("/proc/sys/kernel/random/boot_id");
    std::erase_if(hex, [](char c) { return std::strchr("0123456789abcdef", c) == nullptr; });
    if (hex.size() < 32) return;
    boot_id[0] = std::strtoull(hex.substr(0, 16).c_str(), nullptr, 16);
    boot_id[1] = std::strtoull(hex.substr(16, 16).c_str(), nullptr, 16);
}

ProcessIdentity read_self() {
    ProcessIdentity identity;
    identity.pid = ::getpid();
    ProcStat stat;
    if (parse_proc_stat(slurp("/proc/self/stat"), &stat)) identity.start_ticks = stat.start_ticks;
    identity.pid_namespace = inode_of("/proc/self/ns/pid");
    identity.time_namespace = inode_of("/proc/self/ns/time");
    read_boot_id(identity.boot_id);
    identity.program = program_invocation_short_name != nullptr ? program_invocation_short_name : "?";
    return identity;
}

}  // namespace

const ProcessIdentity& self() noexcept {
    static std::mutex lock;  // tidy-allow(mutex): process-private, at open only
    // Never destroyed, as the list of platform/fork.cpp.
    alignas(ProcessIdentity) static std::byte place[sizeof(ProcessIdentity)];
    static ProcessIdentity& identity = *::new (static_cast<void*>(place)) ProcessIdentity;
    static std::uint32_t generation = UINT32_MAX;
    const std::lock_guard guard(lock);
    if (generation != fork_generation || identity.pid != ::getpid()) {
        identity = read_self();
        generation = fork_generation;
    }
    return identity;
}

bool is_process_running(std::int32_t pid, std::uint64_t start_ticks) noexcept {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const std::string text = slurp(path);
    if (text.empty()) {
        // No such file, or /proc is not there or hides it: ask by signal 0. In doubt it lives.
        return ::kill(pid, 0) == 0 || errno != ESRCH;
    }
    ProcStat stat;
    if (!parse_proc_stat(text, &stat)) return true;
    if (stat.start_ticks != start_ticks) return false;  // the pid has a new owner
    const bool is_zombie = stat.state == 'Z' || stat.state == 'X';
    return !is_zombie || stat.threads > 1;  // a leader that ended before its threads shows as a zombie too
}

std::uint64_t random_bits() noexcept {
    std::uint64_t bits = 0;
    if (::getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) {
        bits = monotonic_ns() * 0x9E3779B97F4A7C15u ^ (static_cast<std::uint64_t>(::getpid()) << 32);
    }
    return bits;
}

}  // namespace keystile::engine
