#include "swarm/store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <exception>

#include "swarm/failure.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr size_t kLaneCapacity = 32 * 1024;  // nearly every value fits at the first try
constexpr uint64_t kNsPerSecond = 1'000'000'000;

uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

// The library calls back through C, where no exception may pass.
struct Visit {
    const std::function<void(const ks_entry&)>& visit;
    std::exception_ptr thrown;
};

int visit_entry(void* user, const ks_entry* entry) {
    auto* const visit = static_cast<Visit*>(user);
    try {
        visit->visit(*entry);
        return 0;
    } catch (...) {
        visit->thrown = std::current_exception();
        return 1;
    }
}

}  // namespace

Lane::Lane(const std::string& url, uint32_t flags, const std::string& label) : buffer_(kLaneCapacity) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.label = label.c_str();
    answer_of(ks_open(url.c_str(), &options, &store_), "ks_open");
    if (const ks_status status = ks_session_open(store_, &session_); status != KS_OK) {
        ks_close(store_);
        answer_of(status, "ks_session_open");
    }
}

Lane::~Lane() {
    ks_close(store_);
}

ks_stamp Lane::read(std::string_view key, std::string& value_out) const {
    ks_stamp seen{};
    size_t size = 0;
    for (;;) {
        const ks_status status =
            ks_get(session_, bytes_of(key), buffer_.data(), buffer_.size(), &size, &seen);
        if (answer_of(status, "ks_get") != KS_TOO_SMALL) {
            value_out.assign(buffer_.data(), status == KS_OK ? size : 0);
            return seen;
        }
        buffer_.resize(2 * size);  // room to grow: the value may be larger by the next look
    }
}

ks_stamp Lane::stamp_of(std::string_view key) const {
    ks_stamp seen{};
    answer_of(ks_get(session_, bytes_of(key), nullptr, 0, nullptr, &seen), "ks_get");
    return seen;
}

void Lane::list(std::string_view prefix, uint32_t flags,
                const std::function<void(const ks_entry&)>& visit) const {
    Visit each{visit, nullptr};
    answer_of(ks_list(session_, bytes_of(prefix), flags, visit_entry, &each), "ks_list");
    if (each.thrown) {
        std::rethrow_exception(each.thrown);
    }
}

TemporaryStore::TemporaryStore(uint64_t seed)
    : url_(fmt::format("shm:swarm-{}-{:x}", getpid(), (monotonic_ns() ^ seed) & 0xFFFFFFFFu)) {
    const Lane maker(url_, KS_OPEN_MUST_CREATE, "swarm supervisor");
}

TemporaryStore::~TemporaryStore() {
    ks_destroy(url_.c_str(), KS_DESTROY_FORCE);
}

uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t boottime_ns() {
    return clock_ns(CLOCK_BOOTTIME);
}

void nap(uint64_t ns) {
    const timespec length{.tv_sec = static_cast<time_t>(ns / kNsPerSecond),
                          .tv_nsec = static_cast<long>(ns % kNsPerSecond)};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &length, nullptr);
}

}  // namespace keystile::cli::swarm
