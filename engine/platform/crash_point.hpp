// Named places where the checked build can kill or stop the process, and guards it can switch off.
//
// Both vanish from the ordinary build. In the checked build (KEYSTILE_CHECKED) a test arms one point by name,
// in a child; reaching it raises the armed signal. A guard switched off turns its check into "passed": the
// suite must then go red. Every point's name, layer.operation.moment, has a row in engine/docs/RECOVERY.md.
#pragma once

#if defined(KEYSTILE_CHECKED)

namespace keystile::checked {

using PointFn = void (*)(const char* name);

// Called at every crash point; NULL = none. Set before threads start.
extern PointFn on_point;
// The guard that is off, or NULL.
extern const char* guard_off;

bool is_guard_on(const char* name) noexcept;

}  // namespace keystile::checked

#define KEYSTILE_CRASH_POINT(name)                                                         \
    do {                                                                                   \
        if (::keystile::checked::on_point != nullptr) ::keystile::checked::on_point(name); \
    } while (false)
#define KEYSTILE_GUARD(name) \
    (::keystile::checked::guard_off == nullptr || ::keystile::checked::is_guard_on(name))

#else

#define KEYSTILE_CRASH_POINT(name) \
    do {                           \
    } while (false)
#define KEYSTILE_GUARD(name) true

#endif
