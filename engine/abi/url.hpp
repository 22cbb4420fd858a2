// Store URLs: "shm:NAME" and "shm:/DIR/NAME".
#pragma once

#include <string>

#include "abi/keystile.h"

namespace keystile::engine::abi {

struct Place {
    std::string folder;
    std::string file;
};

// KS_E_URL with a sentence that says what is wrong with it.
ks_status parse_url(const char* url, Place* place_out);

}  // namespace keystile::engine::abi
