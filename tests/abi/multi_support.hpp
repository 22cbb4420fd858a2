// What the tests of many keys in one commit share.
#pragma once

#include <vector>

#include "abi_support.hpp"

namespace abi_test {

// A transaction, ended with the scope.
class Multi {
public:
    explicit Multi(ks_session* session) { (void)ks_multi_begin(session, &multi_); }
    Multi(const Multi&) = delete;
    Multi& operator=(const Multi&) = delete;
    ~Multi() { ks_multi_end(multi_); }

    ks_multi* get() const { return multi_; }
    ks_status put(std::string_view key, std::string_view value, const ks_commit_options* options = nullptr) {
        return ks_multi_put(multi_, bytes(key), bytes(value), options);
    }
    ks_status read(std::string_view key, std::string* value = nullptr, ks_stamp* seen = nullptr) {
        char buf[4096];
        std::size_t size = 0;
        const ks_status s = ks_multi_read(multi_, bytes(key), buf, sizeof buf, &size, seen);
        if (value != nullptr && s == KS_OK) value->assign(buf, size);
        return s;
    }
    ks_status remove(std::string_view key, const ks_commit_options* options = nullptr) {
        return ks_multi_delete(multi_, bytes(key), options);
    }
    ks_status expect(std::string_view key, ks_stamp seen) {
        return ks_multi_expect(multi_, bytes(key), seen);
    }
    ks_status release(std::string_view key, const ks_grant& grant) {
        return ks_multi_release(multi_, bytes(key), &grant);
    }
    ks_status fault() const { return ks_multi_fault(multi_); }
    ks_status commit() { return ks_multi_commit(multi_); }
    void reset() { ks_multi_reset(multi_); }
    std::size_t size() const { return ks_multi_size(multi_); }
    ks_multi_result item(std::size_t index) const {
        ks_multi_result result{};
        EXPECT_EQ(ks_multi_item(multi_, index, &result), KS_OK) << index;
        return result;
    }
    ks_status status(std::size_t index) const { return item(index).status; }
    ks_status find(std::string_view key, ks_multi_result* result) const {
        return ks_multi_find(multi_, bytes(key), result);
    }

private:
    ks_multi* multi_ = nullptr;
};

inline std::string text(ks_bytes what) {
    return what.size != 0 ? std::string(static_cast<const char*>(what.data), what.size) : std::string();
}

// The key's value, or "(none)".
inline std::string value_of(ks_session* session, std::string_view key) {
    std::size_t size = 0;
    ks_status s = ks_get(session, bytes(key), nullptr, 0, &size, nullptr);
    std::string value(size, '\0');
    if (s == KS_TOO_SMALL) s = ks_get(session, bytes(key), value.data(), size, &size, nullptr);
    return s == KS_OK ? value : s == KS_NOT_FOUND ? "(none)" : ks_status_name(s);
}

inline bool is_same(const ks_stamp& a, const ks_stamp& b) {
    return a.version == b.version && a.epoch == b.epoch;
}

inline ks_grant claim_of(ks_session* session, std::string_view key, std::uint64_t lease_ns = 0) {
    ks_claim_options options{};
    options.struct_size = sizeof options;
    options.lease_ns = lease_ns;
    ks_grant grant{};
    EXPECT_EQ(ks_claim(session, bytes(key), &options, &grant, nullptr), KS_OK);
    return grant;
}

inline ks_commit_options under(const ks_grant& grant, std::uint32_t flags = 0) {
    return {sizeof(ks_commit_options), flags, 0, &grant};
}

// What ks_check counts; problems as failures.
inline ks_check_report check_of(ks_store* store) {
    ks_check_report report{};
    report.struct_size = sizeof report;
    const auto tell = [](void*, const char* problem) { ADD_FAILURE() << problem; };
    EXPECT_EQ(ks_check(store, tell, nullptr, &report), KS_OK);
    return report;
}

// A store of 32 MiB.
inline ks_store* open_small(const std::string& url, std::uint64_t expected_keys) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.max_bytes = 32u << 20;
    options.expected_keys = expected_keys;
    ks_store* store = nullptr;
    EXPECT_EQ(ks_open(url.c_str(), &options, &store), KS_OK);
    return store;
}

}  // namespace abi_test
