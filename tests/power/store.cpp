#include "power/store.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "power/mutants.hpp"

namespace keystile::power {

namespace {

constexpr std::size_t kValueBytesMax = 1 << 20;
constexpr std::uint64_t kMaxBytes = 64u << 20;  // of the segment
constexpr std::uint64_t kFlushIntervalNs = 3'000'000;

ks_bytes bytes_of(const std::string& text) {
    return {text.data(), text.size()};
}

ks_status commit_one(ks_session* session, const Step& step, std::uint64_t number, std::uint64_t* lsn_out) {
    const std::string& key = step.keys.front();
    ks_stamp seen{};
    const ks_status read = ks_get(session, bytes_of(key), nullptr, 0, nullptr, &seen);
    if (read < 0) return read;
    ks_commit_options options{};
    options.struct_size = sizeof options;
    const bool is_durable = step.is_durable && mutant != Mutant::kEarlyReport;
    options.flags = is_durable ? KS_COMMIT_DURABLE : KS_COMMIT_RELAXED;
    ks_receipt receipt{};
    const std::string value = step.is_delete ? "" : value_of(key, number);
    const ks_status s = step.is_delete
                            ? ks_delete(session, bytes_of(key), seen, &options, &receipt)
                            : ks_commit(session, bytes_of(key), seen, bytes_of(value), &options, &receipt);
    if (s == KS_OK) *lsn_out = receipt.lsn;
    return s;
}

ks_status commit_all(ks_session* session, const Step& step, std::uint64_t number, std::uint64_t* lsn_out) {
    ks_multi* multi = nullptr;
    ks_status s = ks_multi_begin(session, &multi);
    for (const std::string& key : step.keys) {
        if (s == KS_OK) s = ks_multi_put(multi, bytes_of(key), bytes_of(value_of(key, number)), nullptr);
    }
    if (s == KS_OK) s = ks_multi_commit(multi);
    ks_multi_result result{};
    if (s == KS_OK) s = ks_multi_item(multi, 0, &result);
    if (s == KS_OK) *lsn_out = result.stamp.version;
    ks_multi_end(multi);
    return s;
}

}  // namespace

int finding(const std::string& what) {
    std::fprintf(stderr, "finding: %s\n", what.c_str());
    return kFinding;
}

std::string url_of(const Options& options) {
    return "file:" + options.folder;
}

ks_status open(const Options& options, ks_store** store_out) {
    ks_open_options how{};
    how.struct_size = sizeof how;
    how.flags = (mutant == Mutant::kEarlyReport ? 0 : KS_OPEN_DURABLE) |
                (options.has_flusher ? 0 : KS_OPEN_NO_FLUSHER);
    how.max_bytes = kMaxBytes;
    how.flush_interval_ns = kFlushIntervalNs;
    how.segment_folder = options.segments.c_str();
    return ks_open(url_of(options).c_str(), &how, store_out);
}

ks_status see(ks_session* session, unsigned lane, Seen* seen_out) {
    *seen_out = {};
    std::vector<char> buffer(kValueBytesMax);
    for (const std::string& key : keys_of(lane)) {
        std::size_t size = 0;
        ks_stamp stamp{};
        const ks_status s = ks_get(session, bytes_of(key), buffer.data(), buffer.size(), &size, &stamp);
        if (s < 0) return s;
        seen_out->last_lsn = std::max(seen_out->last_lsn, stamp.version);
        if (s == KS_NOT_FOUND) continue;
        const std::string value(buffer.data(), size);
        const std::uint64_t number = number_in(value);
        if (number == 0 || value != value_of(key, number))
            seen_out->wrong = key + " has a value that nobody wrote";
        seen_out->state[key] = number;
        seen_out->lsn[number] = stamp.version;
    }
    return KS_OK;
}

ks_status commit(ks_session* session, unsigned lane, std::uint64_t number, std::uint64_t* lsn_out) {
    const Step step = step_of(lane, number);
    return step.keys.size() == 1 ? commit_one(session, step, number, lsn_out)
                                 : commit_all(session, step, number, lsn_out);
}

ks_status claim(ks_session* session, unsigned lane, std::uint64_t* epoch_out) {
    ks_grant grant{};
    const ks_status s = ks_claim(session, bytes_of(token_key_of(lane)), nullptr, &grant, nullptr);
    if (s != KS_OK) return s;
    *epoch_out = grant.stamp.epoch;
    return ks_release(session, &grant, nullptr);
}

}  // namespace keystile::power
