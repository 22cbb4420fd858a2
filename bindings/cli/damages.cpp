#include "damages.hpp"

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::cli {
namespace {

const char* cost_name(uint32_t cost) {
    switch (cost) {
        case KS_DAMAGE_TAIL:
            return "tail";
        case KS_DAMAGE_SPARE:
            return "spare";
        default:
            return "loss";
    }
}

}  // namespace

void Damages::collect(void* damages, const ks_damage* damage) {
    auto& self = *static_cast<Damages*>(damages);
    self.list.push_back(Json{{"path", escaped(damage->path)},
                             {"offset", damage->offset},
                             {"what", damage->what},
                             {"cost", cost_name(damage->cost)},
                             {"below_mark", damage->cost != KS_DAMAGE_TAIL}});
    self.lines.push_back(fmt::format("{}: {} at offset {}: {}", cost_name(damage->cost),
                                     escaped(damage->path), damage->offset, damage->what));
}

void Damages::print(const Globals& globals) const {
    if (globals.json) return;
    for (const std::string& line : lines) print_bytes(line + "\n");
    flush_output();
}

}  // namespace keystile::cli
