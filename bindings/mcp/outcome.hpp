// What a tool answers: an object whose "status" is "ok" or says why nothing was done, in the words of every Keystile
// interface, with what to do next beside it.
//
//   status            retryable  recover         nothing was changed, because
//   conflict          yes        read_again      the version moved since it was read
//   fenced            with no token yes, read_again; with one no, stop: the claim is over for ever
//   held              yes        wait            someone's claim runs; owner, lease_left_ms
//   foreign_edit      yes        read_again      a program that does not use Keystile wrote the file; adopt it
//   no_match          yes        read_again      an edit's old text is not in the file, or not once
//   not_found         no         stop            there is nothing to delete or edit
//   busy              yes        wait            bounded tries were lost to others
//   invalid_arguments yes        fix_arguments   the call is wrong
//   fault             no         stop            the store or the system said no; code, message
#pragma once

#include <string_view>

#include "json_rpc.hpp"
#include "keystile.h"

namespace keystile::mcp {

// Members of an outcome, in this order where they stand.
Json ok();
void add_stamp(Json& outcome, ks_stamp stamp);
void add_bytes(Json& outcome, std::string_view name, std::string_view bytes);  // and "encoding"
void add_name(Json& outcome, const std::string& member,
              std::string_view name);  // and "…_encoding", if it is no text
void add_owner(Json& outcome, const ks_owner& owner);

Json refusal(std::string_view status, bool is_retryable, std::string_view recover, std::string_view message);

// Any status but KS_OK; `what` names the key or path. A fault's words are those of the last one on this thread; with a
// stamp in its receipt it is of a commit that was made (keystile_files.h: Writing).
Json refusal_of(ks_status status, std::string_view what, const ks_receipt& receipt, bool has_grant);
Json fault_of(ks_status status, std::string_view what);

}  // namespace keystile::mcp
