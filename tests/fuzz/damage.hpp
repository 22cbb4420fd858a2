// Damage to a segment's bytes, and every public call on what is left of it.
#pragma once

#include <keystile.h>

#include <cstdint>
#include <string>

#include "fuzz/segment_image.hpp"
#include "stress/dice.hpp"

namespace keystile::testing {

// One word that becomes another.
struct Change {
    std::uint64_t offset;
    std::uint64_t mask;   // which bits
    std::uint64_t value;  // what they become
};

// Mostly words that mean something; bits flipped, or whole words replaced by values that hurt: 0, all ones,
// the own place, other places, the end of what there is.
Change pick_change(const SegmentImage& image, Dice& dice);
void apply(std::byte* base, const Change& change);
std::string describe(const Change& change, const std::byte* base);

enum class Moment { kBeforeOpen, kWhileOpen };

// Damages a fresh copy, opens it (or the other way round), makes every public call on it, closes it. Any
// typed status is right, and a value that fits its buffer. Empty, or what was wrong; a crash or a hang is
// the caller's to notice.
class Fuzzer {
public:
    explicit Fuzzer(const SegmentImage& image) : image_(image) {}

    template <class Damage>  // void(std::byte* base)
    std::string run(Moment moment, std::uint64_t seed, Damage damage) const;

private:
    const SegmentImage& image_;
};

// The file, mapped apart from the library's own mapping.
class RawMapping {
public:
    explicit RawMapping(const SegmentImage& image);
    RawMapping(const RawMapping&) = delete;
    RawMapping& operator=(const RawMapping&) = delete;
    ~RawMapping();
    std::byte* base() const noexcept { return base_; }

private:
    std::uint64_t bytes_;
    std::byte* base_ = nullptr;
};

// What is done with a damaged store.
class Calls {
public:
    using Tally = std::uint64_t[256];  // of answers, by -status; all that are not negative together

    Calls(const SegmentImage& image, std::uint64_t seed) : image_(image), dice_(seed) {}
    static Tally* tally;  // if not null: where answers are counted
    void open();
    void use();
    void close();
    const std::string& wrong() const noexcept { return wrong_; }

private:
    bool is_typed(int status, const char* call);
    void use_key(const std::string& key);
    void use_claim(const std::string& key);
    void use_many();
    void use_multi();
    void use_snapshot(ks_session* session);
    void look_after();
    void read_only();

    const SegmentImage& image_;
    Dice dice_;
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
    std::string wrong_;
    std::string buffer_ = std::string(4096, '\0');
};

template <class Damage>
std::string Fuzzer::run(Moment moment, std::uint64_t seed, Damage damage) const {
    image_.restore();
    const RawMapping raw(image_);
    Calls calls(image_, seed);
    if (moment == Moment::kWhileOpen) calls.open();
    damage(raw.base());
    if (moment == Moment::kBeforeOpen) calls.open();
    calls.use();
    calls.close();
    return calls.wrong();
}

}  // namespace keystile::testing
