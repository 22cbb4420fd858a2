#include "swarm/text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <unordered_set>

#include "swarm/failure.hpp"
#include "swarm/words.hpp"

namespace keystile::cli::swarm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShippedName = "austen.txt";
constexpr uint64_t kTextBytesMax = 1u << 30;  // held in memory; offsets inside a chunk have 32 bits

// Beside the binary (installed, or linked there by the build), else in a data/ folder above it.
std::string shipped_text() {
    std::error_code ignored;
    const fs::path home = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    if (const fs::path installed = home / "../share/keystile" / kShippedName;
        fs::exists(installed, ignored)) {
        return installed.lexically_normal().string();
    }
    for (fs::path folder = home; !folder.empty(); folder = folder.parent_path()) {
        if (const fs::path file = folder / "data" / kShippedName; fs::exists(file, ignored)) {
            return file.string();
        }
        if (folder == folder.root_path()) {
            break;
        }
    }
    throw Failure(ExitCode::fault,
                  fmt::format("the shipped text {0} is neither in {1}/../share/keystile nor in a data "
                              "folder above; name a text with --input",
                              kShippedName, home.string()));
}

void append_file(const std::string& file, std::string& bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rb"),
                                                                 &std::fclose);
    bytes += bytes.empty() ? "" : "\n";
    char block[64 * 1024];
    while (stream != nullptr && bytes.size() <= kTextBytesMax) {
        const size_t count = std::fread(block, 1, sizeof block, stream.get());
        if (count == 0) {
            break;
        }
        bytes.append(block, count);
    }
    if (stream == nullptr || std::ferror(stream.get()) != 0) {
        throw Failure(ExitCode::usage, fmt::format("--input {}: {}", file, std::strerror(errno)));
    }
    if (bytes.size() > kTextBytesMax) {
        throw Failure(ExitCode::usage, fmt::format("--input {}: more than 1 GiB of text", file));
    }
}

bool is_white_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

Text load_text(const std::vector<std::string>& files) {
    Text text{.bytes = {}, .files = files.empty() ? std::vector{shipped_text()} : files};
    for (const std::string& file : text.files) {
        append_file(file, text.bytes);
    }
    return text;
}

std::vector<Chunk> cut_into_chunks(std::string_view text, uint64_t chunk_bytes) {
    std::vector<Chunk> chunks;
    for (uint64_t begin = 0; begin < text.size();) {
        uint64_t end = begin + chunk_bytes < text.size() ? begin + chunk_bytes : text.size();
        while (end < text.size() && !is_white_space(text[end])) {
            ++end;
        }
        chunks.push_back({begin, end});
        begin = end;
    }
    return chunks;
}

std::vector<Chunk> split_to_words(std::string_view text, const std::vector<Chunk>& chunks, size_t words_max) {
    std::vector<Chunk> parts;
    for (const Chunk& chunk : chunks) {
        uint64_t begin = chunk.begin;
        std::unordered_set<std::string> words;
        for_each_word(text.substr(chunk.begin, chunk.end - chunk.begin),
                      [&](std::string_view word, size_t offset) {
                          if (words.emplace(word).second && words.size() > words_max) {
                              parts.push_back({begin, chunk.begin + offset});
                              begin = chunk.begin + offset;
                              words = {std::string(word)};
                          }
                      });
        parts.push_back({begin, chunk.end});
    }
    return parts;
}

}  // namespace keystile::cli::swarm
