#include "explore/schedule.hpp"

#include <charconv>

namespace keystile::explore {

namespace {

class Reader {
public:
    explicit Reader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}
    bool is_at_end() const { return at_ == end_; }
    char take() { return is_at_end() ? '\0' : *at_++; }
    void skip_spaces() {
        while (!is_at_end() && *at_ == ' ') ++at_;
    }
    template <class Number>
    bool number(Number* number_out) {
        const auto [next, error] = std::from_chars(at_, end_, *number_out);
        at_ = next;
        return error == std::errc();
    }

private:
    const char* at_;
    const char* end_;
};

bool read(Reader& text, Decision* decision_out) {
    if (!text.number(&decision_out->step)) return false;
    const char act = text.take();
    if (act != 's' && act != 'd' && act != 'c') return false;
    decision_out->act = act == 's' ? Act::kSwitch : act == 'd' ? Act::kDrain : Act::kCrash;
    if (act != 'c' && !text.number(&decision_out->process)) return false;
    return text.take() == '.' && text.number(&decision_out->stores);
}

}  // namespace

std::string to_text(const Schedule& schedule) {
    std::string text;
    for (const Decision& decision : schedule) {
        if (!text.empty()) text += ' ';
        text += std::to_string(decision.step);
        if (decision.act == Act::kCrash) {
            text += 'c';
        } else {
            text += (decision.act == Act::kSwitch ? 's' : 'd') + std::to_string(decision.process);
        }
        text += '.' + std::to_string(decision.stores);
    }
    return text;
}

std::optional<Schedule> schedule_from(std::string_view text) {
    Schedule schedule;
    Reader reader(text);
    for (reader.skip_spaces(); !reader.is_at_end(); reader.skip_spaces()) {
        if (!read(reader, &schedule.emplace_back())) return std::nullopt;
    }
    return schedule;
}

}  // namespace keystile::explore
