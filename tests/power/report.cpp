#include "power/report.hpp"

#include <fcntl.h>
#include <keystile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace keystile::power {

namespace {

constexpr std::size_t kSectorBytes = 512;

struct alignas(kSectorBytes) Sector {
    char bytes[kSectorBytes] = {};
};

}  // namespace

bool Report::open(const std::string& path) {
    struct stat info{};
    is_in_sectors_ = ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
    descriptor_ = is_in_sectors_ ? ::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC)
                                 : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return descriptor_ >= 0;
}

void Report::line(const std::string& text) {
    ssize_t written = 0;
    if (is_in_sectors_) {
        Sector sector;
        std::memcpy(sector.bytes, text.data(), std::min(text.size(), sizeof sector.bytes));
        written = ::pwrite(descriptor_, sector.bytes, sizeof sector.bytes,
                           static_cast<off_t>(sector_.fetch_add(1) * kSectorBytes));
    } else {
        written = ::write(descriptor_, text.data(), text.size());
    }
    if (written > 0) return;
    std::perror("keystile_power: the report");  // nobody would hear of what comes now
    std::_Exit(2);
}

void Report::from(unsigned lane, std::uint64_t number) {
    line("from " + std::to_string(lane) + ' ' + std::to_string(number) + '\n');
}

void Report::made(unsigned lane, std::uint64_t number, std::uint64_t lsn) {
    line("made " + std::to_string(lane) + ' ' + std::to_string(number) + ' ' + std::to_string(lsn) + '\n');
}

void Report::durable(unsigned lane, std::uint64_t number) {
    line("durable " + std::to_string(lane) + ' ' + std::to_string(number) + '\n');
}

void Report::token(unsigned lane, std::uint64_t epoch) {
    line("token " + std::to_string(lane) + ' ' + std::to_string(epoch) + '\n');
}

void Report::failed(const char* call, int status) {
    const int error = status < 0 ? ks_last_errno() : 0;
    line(std::string("failed ") + call + ' ' + ks_status_name(static_cast<ks_status>(status)) + ' ' +
         std::to_string(error) + '\n');
}

bool read_report(const std::string& path, Told* told_out) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    while (std::getline(file, text) && !file.eof()) {
        std::istringstream words(text);
        std::string fact;
        unsigned lane = 0;
        std::uint64_t number = 0, lsn = 0;
        if (!(words >> fact) || fact == "failed" || !(words >> lane >> number)) continue;
        if (told_out->lanes.size() <= lane) told_out->lanes.resize(lane + 1);
        LaneReport& told = told_out->lanes[lane];
        if (fact == "from") told.lsn.erase(told.lsn.upper_bound(number), told.lsn.end());
        if (fact == "durable") told.durable = std::max(told.durable, number);
        if (fact == "token") told.token = std::max(told.token, number);
        if (fact == "made" && words >> lsn && lsn != 0) {
            told.lsn[number] = lsn;
            told_out->last_lsn = std::max(told_out->last_lsn, lsn);
        }
    }
    return file.is_open();
}

}  // namespace keystile::power
