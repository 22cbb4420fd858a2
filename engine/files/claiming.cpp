// Claims of files, and effects under them.
#include <algorithm>

#include "writing.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

// A claim ends without an event when its owner dies or its lease is over: ask again after so long.
constexpr std::uint64_t kAskAgainNs = 50'000'000;

// One try. The session belongs to the handle, so that the claim does not end with the thread.
ks_status claim_once(ks_files& files, const FilePath& path, const ks_claim_options& options,
                     ks_grant* grant_out, ks_receipt* receipt_out) {
    const std::lock_guard guard(files.claims_lock);
    return ks_claim(files.claims, bytes_of(path.content_key), &options, grant_out, receipt_out);
}

ks_status claim(ks_files& files, ks_session* session, const FilePath& path, const ks_claim_options& options,
                ks_grant* grant_out, ks_receipt* receipt_out) {
    ks_claim_options once = options;
    once.wait_ns = 0;
    const std::uint64_t begin = monotonic_ns();
    for (;;) {
        const ks_status s = claim_once(files, path, once, grant_out, receipt_out);
        if (s != KS_HELD || options.wait_ns == 0) return s;
        const std::uint64_t waited = monotonic_ns() - begin;
        if (waited >= options.wait_ns) return KS_TIMEOUT;
        const std::uint64_t timeout =
            std::min({options.wait_ns - waited, kAskAgainNs,
                      std::max<std::uint64_t>(receipt_out->owner.lease_left_ns, 1)});
        const ks_status t =
            ks_watch(session, bytes_of(path.content_key), receipt_out->stamp, timeout, nullptr);
        if (t < 0) return t;
    }
}

// The claims that a gate took; given back in the end.
class Claims {
public:
    explicit Claims(ks_session* session) noexcept : session_(session) {}
    ~Claims() { release(); }
    Claims(const Claims&) = delete;
    Claims& operator=(const Claims&) = delete;

    void add(Edit& edit, const ks_grant& grant) { taken_.push_back({&edit, grant}); }
    void reserve(std::size_t count) { taken_.reserve(count); }
    // A fault; KS_OK, also if one of them had been taken away: its edit's status is KS_FENCED then.
    ks_status release() noexcept {
        ks_status last = KS_OK;
        for (const Taken& taken : taken_) {
            const ks_status s = ks_release(session_, &taken.grant, nullptr);
            if (s < 0) last = s;
            if (s == KS_FENCED) taken.edit->status = s;
        }
        taken_.clear();
        return last;
    }

private:
    struct Taken {
        Edit* edit;
        ks_grant grant;
    };
    ks_session* session_;
    std::vector<Taken> taken_;
};

// Under the caller's grant: does the claim stand, and what was seen?
ks_status judge_grant(ks_session* session, Edit& edit) {
    ks_stamp now{};
    if (const ks_status s = load_claimed(session, edit.path.content_key, *edit.grant, &now); s != KS_OK)
        return s;
    if (now.epoch != edit.grant->stamp.epoch) return KS_FENCED;
    return now.version == edit.seen.version ? KS_OK : KS_CONFLICT;
}

// Was the claim granted on what was seen? It is the one next to it, or there was another in between, which may have
// been a gate's on the same stamp. What was never written is seen as {0, 0}, whatever its epoch.
ks_status judge_claim(const Edit& edit, ks_stamp granted) noexcept {
    if (granted.version != edit.seen.version) return KS_CONFLICT;
    const bool is_untouched = granted.version == 0 && edit.seen.epoch == 0;
    return is_untouched || granted.epoch == edit.seen.epoch + 1 ? KS_OK : KS_FENCED;
}

// Who is refused here has moved no epoch.
ks_status judge_before(ks_session* session, const Edit& edit) {
    ks_stamp now{};
    if (const ks_status s = load_stamp(session, edit.path.content_key, &now); s != KS_OK) return s;
    if (now.version != edit.seen.version) return KS_CONFLICT;
    return now.epoch == edit.seen.epoch || now.epoch % 2 == 1 ? KS_OK : KS_FENCED;  // odd: claiming tells
}

ks_status take_claim(ks_files& files, Edit& edit, Claims& claims) {
    ks_grant grant{};
    ks_receipt receipt{};
    const ks_claim_options options{sizeof options, 0, 0, 0, 0};
    KEYSTILE_CRASH_POINT("files.gate.before_claim");
    const ks_status s = claim_once(files, edit.path, options, &grant, &receipt);
    if (s != KS_OK) {
        edit.owner = receipt.owner;
        return s;
    }
    claims.add(edit, grant);
    return judge_claim(edit, grant.stamp);
}

// The path's claim is ours from here on, and what was seen still holds.
ks_status hold(ks_files& files, ks_session* session, Edit& edit, Claims& claims) {
    if (edit.grant != nullptr) {
        if (const ks_status s = judge_grant(session, edit); s != KS_OK) return s;
    } else {
        if (const ks_status s = judge_before(session, edit); s != KS_OK) return s;
        if (const ks_status s = take_claim(files, edit, claims); s != KS_OK) return s;
    }
    const ks_status s = settle(files, session, edit.path, Need::kDecision, kPatienceNs, &edit.scene);
    if (s != KS_OK) return s;
    if (edit.scene.stored.version() != edit.seen.version) return KS_CONFLICT;
    return is_foreign(edit.scene) ? KS_FOREIGN_EDIT : KS_OK;
}

// In one order everywhere, so that of two gates that meet one goes on.
ks_status hold_all(ks_files& files, ks_session* session, std::vector<Edit>& edits, Claims& claims) {
    std::vector<Edit*> order;
    order.reserve(edits.size());
    for (Edit& edit : edits) order.push_back(&edit);
    std::sort(order.begin(), order.end(),
              [](const Edit* a, const Edit* b) { return a->path.text < b->path.text; });
    for (Edit* edit : order) {
        if (edit->status = hold(files, session, *edit, claims); edit->status != KS_OK) return edit->status;
    }
    return KS_OK;
}

// Of the claims that the caller brought: KS_FENCED where one was taken away while the effect ran. (What the effect
// wrote under it is its own.)
ks_status judge_brought(ks_session* session, std::vector<Edit>& edits) {
    ks_status last = KS_OK;
    for (Edit& edit : edits) {
        if (edit.grant == nullptr) continue;
        const ks_status s = judge_grant(session, edit);
        if (s == KS_FENCED) edit.status = s;
        if (s < 0) last = s;
    }
    return last;
}

ks_status run_gate(ks_files& files, ks_session* session, std::vector<Edit>& edits, ks_files_effect_fn effect,
                   void* user, int* result_out) {
    Claims claims(session);
    claims.reserve(edits.size());
    ks_status status = hold_all(files, session, edits, claims);
    if (status < 0) return status;
    if (status == KS_OK) {
        const int result = effect(user);
        KEYSTILE_CRASH_POINT("files.gate.after_effect");
        if (result_out != nullptr) *result_out = result;
        status = judge_brought(session, edits);
    }
    if (const ks_status s = claims.release(); s < 0) status = s;
    for (Edit& edit : edits) {  // the stamps as they are now that the claims are given back
        if (load_stamp(session, edit.path.content_key, &edit.stamp) != KS_OK) edit.stamp = {};
        if (status == KS_OK) status = edit.status;
    }
    return status;
}

}  // namespace

}  // namespace keystile::engine::files

using namespace keystile::engine;
using namespace keystile::engine::files;

ks_status ks_files_claim(ks_files* files, const char* path, const ks_claim_options* options,
                         ks_grant* grant_out, ks_receipt* receipt_out) {
    return guarded("claiming a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        if (grant_out == nullptr) return abi::fault(KS_E_ARGUMENT, "grant_out is NULL");
        if (options != nullptr && options->struct_size != sizeof *options)
            return abi::fault(KS_E_STRUCT_SIZE, "ks_claim_options.struct_size");
        ks_receipt receipt{};
        Scene scene;
        ks_status s = settle(*files, session, parsed, Need::kRead, kPatienceNs, &scene);
        if (s == KS_OK && scene.standing == Standing::kUntracked)
            s = adopt(*files, session, parsed, nullptr, false, &scene, &receipt);
        if (s == KS_OK || s == KS_HELD) {
            const ks_claim_options plain{sizeof plain, 0, 0, 0, 0};
            s = claim(*files, session, parsed, options != nullptr ? *options : plain, grant_out, &receipt);
        }
        if (receipt_out != nullptr && s >= 0) *receipt_out = receipt;
        return s;
    });
}

ks_status ks_files_renew(ks_files* files, const ks_grant* grant, uint64_t lease_ns, ks_receipt* receipt_out) {
    ks_session* session = nullptr;
    const ks_status s = enter(files, &session);
    return s != KS_OK ? s : ks_renew(session, grant, lease_ns, receipt_out);
}

ks_status ks_files_release(ks_files* files, const ks_grant* grant, ks_receipt* receipt_out) {
    ks_session* session = nullptr;
    const ks_status s = enter(files, &session);
    return s != KS_OK ? s : ks_release(session, grant, receipt_out);
}

ks_status ks_files_grant(ks_files* files, const char* path, const char* token, ks_grant* grant_out) {
    return guarded("reading a token", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        return ks_grant_parse(session, bytes_of(parsed.content_key), token, grant_out);
    });
}

ks_status ks_files_gate(ks_files* files, ks_files_change* changes, size_t count, ks_files_effect_fn effect,
                        void* user, int* result_out) {
    return guarded("a gate", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        if (effect == nullptr) return abi::fault(KS_E_ARGUMENT, "the effect is NULL");
        std::vector<Edit> edits;
        if (const ks_status s = read_changes(changes, count, &edits); s != KS_OK) return s;
        for (const Edit& edit : edits) {
            if (edit.flags != 0 || !edit.data.empty())
                return abi::fault(KS_E_ARGUMENT, "a gate compares only: no flags, no data");
        }
        const ks_status s = run_gate(*files, session, edits, effect, user, result_out);
        tell_changes(edits, changes);
        return s;
    });
}
