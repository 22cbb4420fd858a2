#include <keystile.h>

#include <algorithm>

#include "history/log.hpp"

namespace keystile::history {

namespace {

using Number = unsigned long long;

const char* name_of(Op op) {
    constexpr const char* kNames[] = {"gets",  "snapshot", "commit",  "multi",
                                      "claim", "renew",    "release", "reclaim"};
    return kNames[static_cast<int>(op)];
}

const char* name_of(std::int16_t status) {
    return ks_status_name(static_cast<ks_status>(status));
}

void write_number(std::FILE* file, const char* name, std::uint64_t number) {
    if (number != 0) std::fprintf(file, ",\"%s\":%llu", name, static_cast<Number>(number));
}

void write_item(std::FILE* file, const Item& item, bool has_end) {
    std::fprintf(file, "{\"key\":%d", item.key);
    if (item.is_expecting) {
        std::fprintf(file, ",\"seen\":%llu", static_cast<Number>(item.seen.version));
        write_number(file, "seen_epoch", item.seen.epoch);
    }
    write_number(file, "grant", item.grant);
    write_number(file, "grant_of", item.grant_of);
    if (item.write == Write::kPut) std::fputs(",\"write\":\"put\"", file);
    if (item.write == Write::kDelete) std::fputs(",\"write\":\"delete\"", file);
    if (item.is_releasing) std::fputs(",\"release\":true", file);
    if (item.value != 0) std::fprintf(file, ",\"value\":%lld", static_cast<long long>(item.value));
    if (has_end) {
        if (item.has_told) std::fprintf(file, ",\"told\":%llu", static_cast<Number>(item.told.version));
        if (item.has_told_epoch) std::fprintf(file, ",\"epoch\":%llu", static_cast<Number>(item.told.epoch));
        write_number(file, "owner", item.owner);
        std::fprintf(file, ",\"status\":\"%s\"", name_of(item.status));
    }
    std::fputc('}', file);
}

void write_call(std::FILE* file, int client, const Call& call, std::uint64_t first) {
    const std::uint64_t end = call.end_ns.load();
    std::fprintf(file, "{\"op\":\"%s\",\"client\":%d,\"worker\":%u,\"begin\":%llu", name_of(call.op), client,
                 call.worker, static_cast<Number>(call.begin_ns - first));
    if (end != 0) {
        std::fprintf(file, ",\"end\":%llu,\"status\":\"%s\"", static_cast<Number>(end - first),
                     name_of(call.status));
    }
    write_number(file, "lease", call.lease_ns);
    if (call.is_forced) std::fputs(",\"forced\":true", file);
    std::fputs(",\"items\":[", file);
    for (int i = 0; i < call.count; ++i) {
        if (i != 0) std::fputc(',', file);
        write_item(file, call.items[i], end != 0);
    }
    std::fputs("]}\n", file);
}

}  // namespace

std::uint64_t first_ns(const Table& table) noexcept {
    std::uint64_t first = UINT64_MAX;
    for (int i = 0; i < table.count; ++i) {
        const Log& log = table.logs[i];
        if (log.count.load() != 0) first = std::min(first, log.calls[0].begin_ns);
    }
    return first;
}

void write_calls(std::FILE* file, const Table& table) {
    const std::uint64_t first = first_ns(table);
    for (int i = 0; i < table.count; ++i) {
        const Log& log = table.logs[i];
        for (std::uint32_t at = 0; at < log.count.load(); ++at) write_call(file, i, log.calls[at], first);
    }
}

}  // namespace keystile::history
