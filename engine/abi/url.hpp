// Store URLs: "shm:NAME", "shm:/DIR/NAME" and "file:/DIR".
#pragma once

#include <string>

#include "abi/keystile.h"

namespace keystile::engine::abi {

struct Place {
    std::string folder;
    std::string file;         // in it; of a durable store empty
    bool is_durable = false;  // `folder` is its directory
};

// KS_E_URL with a sentence that says what is wrong with it.
ks_status parse_url(const char* url, Place* place_out);

}  // namespace keystile::engine::abi
