#include "table.hpp"

#include <algorithm>

#include "output.hpp"

namespace keystile::cli {
namespace {

// Characters, counted by their first bytes: wide and combining ones are not worth a table of Unicode
// here.
size_t width_of(const std::string& cell) {
    return static_cast<size_t>(
        std::count_if(cell.begin(), cell.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> heads, std::set<size_t> numeric)
    : numeric_(std::move(numeric)), rows_{std::move(heads)} {}

void Table::add(std::vector<std::string> cells) {
    rows_.push_back(std::move(cells));
}

void Table::print() const {
    std::vector<size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    for (const auto& row : rows_) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths[i] - width_of(row[i]), ' ');
            line += numeric_.contains(i) ? padding + row[i] : row[i] + padding;
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        print_bytes(line + "\n");
    }
    flush_output();
}

}  // namespace keystile::cli
