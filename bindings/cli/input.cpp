#include "input.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "keystile.h"
#include "output.hpp"

namespace keystile::cli {
namespace {

std::string read_all(FILE* input, const std::string& name, ExitCode unreadable) {
    std::string bytes;
    char chunk[64 * 1024];
    while (feof(input) == 0 &&
           ferror(input) == 0) {  // a terminal's end of file must be typed once, not twice
        bytes.append(chunk, fread(chunk, 1, sizeof chunk, input));
        if (bytes.size() > KS_VALUE_SIZE_MAX)
            throw Failure{ExitCode::usage, name + ": a value has at most 16 MiB"};
    }
    if (ferror(input) != 0) throw Failure{unreadable, fmt::format("{}: {}", name, strerror(errno))};
    return bytes;
}

}  // namespace

bool is_standard_input(const std::string& file) {
    return file.empty() || file == "-";
}

std::string read_input(const std::string& file) {
    if (is_standard_input(file)) {
        if (isatty(STDIN_FILENO) != 0)
            fmt::print(stderr, "keystile: reading the value from the terminal, Ctrl-D ends it\n");
        return read_all(stdin, "standard input", ExitCode::fault);
    }
    const std::unique_ptr<FILE, int (*)(FILE*)> input(fopen(file.c_str(), "rb"), fclose);
    if (!input) throw Failure{ExitCode::usage, fmt::format("--file {}: {}", file, strerror(errno))};
    return read_all(input.get(), "--file " + file, ExitCode::usage);  // a directory can be opened, too
}

}  // namespace keystile::cli
