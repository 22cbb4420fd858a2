// A store as the commands use it: opened by its URL, one session, every failure of the library a Failure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "keystile.h"
#include "output.hpp"

namespace keystile::cli {

inline ks_bytes bytes_of(std::string_view text) {
    return {text.data(), text.size()};
}

class Store {
public:
    // No URL is a usage error that says how to give one. Never creates, unless options say so.
    Store(const std::string& url, const ks_open_options& options);
    static Store attach(const std::string& url, std::string_view command);  // to write
    static Store inspect(const std::string& url);                           // read-only, no participant

    ks_store* get() const { return store_.get(); }
    ks_session* session();

private:
    struct Close {
        void operator()(ks_store* store) const { ks_close(store); }
    };
    struct CloseSession {
        void operator()(ks_session* session) const { ks_session_close(session); }
    };
    std::unique_ptr<ks_store, Close> store_;
    std::unique_ptr<ks_session, CloseSession> session_;  // after the store: closed before it
};

// A value and what it was read with; without a value the stamp is the one to create it with.
struct Read {
    bool is_found = false;
    std::string value;
    ks_stamp stamp{};
};
Read read_value(ks_session* session, std::string_view key);
Read read_stamp(ks_session* session, std::string_view key);  // the same without copying the value

// What watching compares with. For a key that was never written a read says zero, whatever happened to its
// epoch; this says the epoch, too.
ks_stamp watched_stamp(ks_session* session, std::string_view key, const Read& seen);

ExitCode exit_code_of(ks_status status);
void require_url(const std::string& url);

// A fault (status < 0) of the call just made on this thread, in the library's words; `what` names the
// object.
Failure fault(ks_status status, std::string_view what);

// Any status but KS_OK of a call on a key that fills a receipt; `has_grant` chooses the words for
// KS_FENCED.
Failure refusal(ks_status status, std::string_view key, const ks_receipt& receipt, bool has_grant);

}  // namespace keystile::cli
