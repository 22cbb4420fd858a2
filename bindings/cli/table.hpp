// Columns for a terminal: as wide as their widest cell, two blanks between.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace keystile::cli {

class Table {
public:
    // `numeric`: indexes of the columns aligned to the right.
    Table(std::vector<std::string> heads, std::set<size_t> numeric);
    void add(std::vector<std::string> cells);
    void print() const;

private:
    std::set<size_t> numeric_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace keystile::cli
