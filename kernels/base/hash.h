// Hashes of ids. One place, shared by io (splits), model (rows) and metrics (bootstrap), so that a
// user falls in the same share wherever the question is asked.
#pragma once

#include <cstdint>

namespace alm {

// What a hash is for. Different purposes give independent hashes of one id.
enum class Salt : uint64_t { holdout = 1, validation, fold, half, bootstrap, table, shard, owner };

// Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words.
inline uint64_t mix(uint64_t word) {
  word += 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
  return word ^ (word >> 31);
}

inline uint64_t hash(uint64_t id, Salt salt, uint64_t extra = 0) {
  return mix(mix(id) ^ mix(static_cast<uint64_t>(salt) * 0x2545f4914f6cdd1du + extra));
}

// Uniform in [0, 1), 53 bits.
inline double unit(uint64_t word) {
  return static_cast<double>(word >> 11) * 0x1p-53;
}

// The user splits of contract 1; pure functions of the id.
inline bool in_holdout(uint64_t user, double share) {
  return unit(hash(user, Salt::holdout)) < share;
}
inline bool in_validation(uint64_t user, double share) {
  return unit(hash(user, Salt::validation)) < share;
}
inline int64_t fold_of(uint64_t user, int64_t folds) {
  return static_cast<int64_t>(hash(user, Salt::fold) % static_cast<uint64_t>(folds));
}
inline int half_of(uint64_t user) {
  return static_cast<int>(hash(user, Salt::half) & 1u);
}

// Row of a hashed embedding table. `feature` keeps equal ids of different columns apart.
inline int64_t table_row(uint64_t id, uint64_t feature, int64_t rows) {
  const uint64_t word = hash(id, Salt::table, feature);
  const uint64_t count = static_cast<uint64_t>(rows);
  // Most tables have a power of two rows, and divisions are slow.
  const bool power = (count & (count - 1)) == 0;
  return static_cast<int64_t>(power ? word & (count - 1) : word % count);
}

}  // namespace alm
