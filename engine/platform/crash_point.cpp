#include "platform/crash_point.hpp"

#if defined(KEYSTILE_CHECKED)

#include <cstring>

namespace keystile::checked {

PointFn on_point = nullptr;
const char* guard_off = nullptr;

bool is_guard_on(const char* name) noexcept {
    return std::strcmp(guard_off, name) != 0;
}

}  // namespace keystile::checked

#endif
