// A store of a test's own, and the scan that says whether a store is whole.
#pragma once

#include <keystile.h>

#include <string>
#include <string_view>

namespace keystile::testing {

inline ks_bytes bytes(std::string_view text) noexcept {
    return {text.data(), text.size()};
}

// A name of this process's own, destroyed with the object, whatever is left of it. Small: 256 root cells,
// 32 MiB at most.
class TestStore {
public:
    TestStore();
    explicit TestStore(std::string name);  // for runs that must not differ even in the length of a name
    TestStore(const TestStore&) = delete;
    TestStore& operator=(const TestStore&) = delete;
    ~TestStore();
    const std::string& url() const noexcept { return url_; }
    std::string path() const;

private:
    std::string name_, url_;
};

// How tests open a small store (flags: KS_OPEN_…).
ks_status open_small(const std::string& url, std::uint32_t flags, ks_store** store_out);

// Make it, with a hash seed that is the same in every run: so each run takes the same path through the
// index. is_durable: every commit through the ring, versions are positions; no journal.
void create_small(const std::string& url, bool is_durable = false);

// An attached store with one session; ends the process with a message if that fails.
class Attached {
public:
    explicit Attached(const std::string& url);
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
    ~Attached();
    ks_store* store = nullptr;
    ks_session* session = nullptr;
};

// Open the store, reap, check. Empty, or what is wrong, a line each. Demands: ks_check KS_OK with 0
// problems; nothing unreaped; nothing in flight (so: no session but the scan's own may be open); live and
// free blocks make up all blocks there are; live blocks are exactly those of the keys: values, long keys,
// index nodes; no two keys share one.
std::string scan(const std::string& url);

// The same of a store that is open here, beside its sessions: in flight is then what they keep.
std::string check_now(ks_store* store);

}  // namespace keystile::testing
