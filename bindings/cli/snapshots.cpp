#include "snapshots.hpp"

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::cli {
namespace {

// Each try of ours is a bounded number of the library's.
constexpr int kReadOnlyTries = 3;
constexpr int kTries = 20;

}  // namespace

// First as who only looks: needs no right to write. If others keep writing, as a participant, who can end that by a
// commit that compares.
Cut::Cut(const std::string& url, std::string_view prefix, std::string_view command) {
    {
        Store store = Store::inspect(url);
        if (try_take(store.session(), prefix, kReadOnlyTries)) return;
    }
    Store store = Store::attach(url, command);
    if (try_take(store.session(), prefix, kTries)) return;
    throw Failure{
        ExitCode::busy,
        fmt::format("busy: others kept changing the keys{} while they were read; ask again, or for fewer "
                    "keys",
                    prefix.empty() ? "" : " under " + escaped(prefix))};
}

bool Cut::try_take(ks_session* session, std::string_view prefix, int tries) {
    for (int i = 0; i < tries; ++i) {
        ks_snapshot* snapshot = nullptr;
        const ks_status status = ks_snapshot_prefix(session, bytes_of(prefix), &snapshot);
        if (status < 0) throw fault(status, "snapshot");
        if (status == KS_OK) {
            snapshot_.reset(snapshot);
            return true;
        }
    }
    return false;
}

ks_snapshot_entry Cut::at(size_t index) const {
    ks_snapshot_entry entry{};
    if (const ks_status status = ks_snapshot_at(snapshot_.get(), index, &entry); status != KS_OK) {
        throw fault(status, "snapshot");
    }
    return entry;
}

}  // namespace keystile::cli
