// Where the threads that read a log spend their time.
#pragma once

namespace alm::io {

// Seconds of wall clock, summed over threads.
struct LoaderPhases {
  double read = 0;    // bytes from the file
  double check = 0;   // checksums, and rows against contract 2
  double decode = 0;  // decompression, unshuffling, conversion of types
  double batch = 0;   // choosing and gathering rows

  LoaderPhases& operator+=(const LoaderPhases& other) {
    read += other.read;
    check += other.check;
    decode += other.decode;
    batch += other.batch;
    return *this;
  }
};

// Of the calling thread. Whoever reads them sets them back to zero.
inline LoaderPhases& thread_phases() {
  thread_local LoaderPhases phases;
  return phases;
}

}  // namespace alm::io
