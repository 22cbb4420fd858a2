// Numbers of seven bits a byte, and a walk over bytes that never leaves them.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace keystile::cli::swarm {

inline void put_varint(std::string& bytes, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        bytes += static_cast<char>(number | 0x80);
    }
    bytes += static_cast<char>(number);
}

// Every step is bounds-checked and throws std::invalid_argument at the end of the bytes.
class Cursor {
public:
    explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

    bool is_at_end() const { return bytes_.empty(); }

    uint64_t varint() {
        uint64_t number = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(1)[0]);
            number |= uint64_t{byte & 0x7Fu} << shift;
            if (byte < 0x80) {
                return number;
            }
        }
        throw std::invalid_argument("a number in the value has no end");
    }

    uint64_t fixed() {  // 8 bytes, little endian
        uint64_t number = 0;
        std::memcpy(&number, take(sizeof number).data(), sizeof number);
        return number;
    }

    std::string_view take(uint64_t count) {
        if (count > bytes_.size()) {
            throw std::invalid_argument("the value of a word ends too early");
        }
        const std::string_view taken = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return taken;
    }

private:
    std::string_view bytes_;
};

}  // namespace keystile::cli::swarm
