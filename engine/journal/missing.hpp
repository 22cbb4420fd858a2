// Why a file that is not in the directory must have been there, in the words of whoever looks: the scan or the survey.
#pragma once

namespace keystile::engine {

inline constexpr char kLaterOneIsThere[] = "it is not there, but a later one is";
inline constexpr char kMarkNamesIt[] = "the mark names it, and it is not there";
inline constexpr char kCheckpointNamesIt[] = "a checkpoint names it, and it is not there";

}  // namespace keystile::engine
