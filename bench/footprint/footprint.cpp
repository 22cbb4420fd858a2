// What a store costs in memory, and what attaching to one costs. Fails where a bound is exceeded.
//
//   bytes per key    1,000,000 keys of 16 bytes, values of 32: blocks of the segment's file / keys      at most 224
//   empty store      created, a session open                                                            below 2 MiB
//   attach           ks_open + ks_close of that store, against open + mmap + munmap + close of its file
//                    goal 10 times; failed above 20, because other work on the machine disturbs it
// Usage: keystile_footprint [KEYS]. Exit status 77 (skipped) if there is no room for the keys in /dev/shm.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "rig/store.hpp"

namespace {

using namespace keystile::bench;

constexpr std::uint32_t kKeys = 1'000'000;
constexpr double kBytesPerKeyMax = 224;
constexpr double kEmptyBytesMax = 2 << 20;
constexpr double kAttachGoal = 10, kAttachMax = 20;
constexpr int kAttaches = 200;

class Store {
public:
    Store(const std::string& name, std::uint64_t expected_keys)
        : name_("footprint-" + std::to_string(::getpid()) + name), opened_(url(), expected_keys) {}
    ~Store() { ks_destroy(url().c_str(), KS_DESTROY_FORCE); }
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    std::string url() const { return "shm:" + name_; }
    std::string path() const { return "/dev/shm/keystile." + name_; }
    ks_session* session() const noexcept { return opened_.session(); }
    double bytes() const {
        struct stat file{};
        need(::stat(path().c_str(), &file) == 0, "stat");
        return static_cast<double>(file.st_blocks) * 512;
    }

private:
    std::string name_;
    Opened opened_;
};

// False: no room.
bool fill(const Store& store, std::uint32_t keys) {
    char value[32] = {};
    for (std::uint32_t index = 0; index < keys; ++index) {
        const KeyName key = key_name(index);
        const ks_status s =
            ks_commit(store.session(), {&key, sizeof key}, {0, 0}, {value, sizeof value}, nullptr, nullptr);
        if (s == KS_E_FULL) return false;
        need(s == KS_OK, "ks_commit");
    }
    return true;
}

bool is_within(const char* what, double value, const char* unit, double max) {
    const bool is_good = value <= max;
    std::printf("%-46s %12.1f %s (at most %.0f)%s\n", what, value, unit, max, is_good ? "" : "  EXCEEDED");
    return is_good;
}

template <class Call>
double microseconds(const Call& call) {
    const auto start = std::chrono::steady_clock::now();
    call();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                     values.end());
    return values[values.size() / 2];
}

// In turns: what disturbs one disturbs the other.
bool is_attach_fast(const Store& store) {
    const std::string url = store.url(), path = store.path();
    struct stat file{};
    need(::stat(path.c_str(), &file) == 0, "stat");
    const auto size = static_cast<std::size_t>(file.st_size);
    std::vector<double> bare, attach;
    for (int i = 0; i < kAttaches; ++i) {
        bare.push_back(microseconds([&] {
            const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
            void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            need(fd >= 0 && memory != MAP_FAILED, "open or mmap");
            ::munmap(memory, size);
            ::close(fd);
        }));
        attach.push_back(microseconds([&] {
            ks_open_options options{};
            options.struct_size = sizeof options;
            options.flags = KS_OPEN_MUST_EXIST;
            ks_store* again = nullptr;
            need(ks_open(url.c_str(), &options, &again) == KS_OK, "ks_open");
            ks_close(again);
        }));
    }
    std::printf("%-46s %12.1f µs, bare open + mmap + close %.1f µs\n", "attach and close", median(attach),
                median(bare));
    const double ratio = median(attach) / median(bare);
    if (ratio > kAttachGoal) std::printf("  (above the goal of %.0f times)\n", kAttachGoal);
    return is_within("attach, times a bare open + mmap + close", ratio, "x", kAttachMax);
}

int run(std::uint32_t keys) {
    bool is_good = true;
    {
        const Store empty("-empty", 0);
        is_good &= is_within("empty store, default root", empty.bytes() / 1024, "KiB", kEmptyBytesMax / 1024);
    }
    const struct {
        const char* name;
        std::uint64_t expected_keys;
    } roots[] = {{"default root", 0}, {"root for these keys", keys}};
    for (const auto& root : roots) {
        const Store store("-full", root.expected_keys);
        if (!fill(store, keys)) {
            std::printf("no room for %u keys in /dev/shm: skipped\n", keys);
            return 77;
        }
        const std::string what = "bytes per key, " + std::to_string(keys) + " keys, " + root.name;
        is_good &= is_within(what.c_str(), store.bytes() / keys, "bytes", kBytesPerKeyMax);
        if (root.expected_keys != 0) is_good &= is_attach_fast(store);
    }
    return is_good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10)) : kKeys);
}
