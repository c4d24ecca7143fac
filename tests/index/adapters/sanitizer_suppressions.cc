// SPDX-License-Identifier: Apache-2.0
// What the thread sanitizer overlooks in the adapted libraries. It does not see that FAISS's threads meet at
// OpenMP's barriers. And it takes hnswlib's vertex locks for a cycle, although of two vertices being inserted
// only the one that is further down can have been seen by the other; the adapters themselves lock nothing.
#define TRIVIUM_SEEN_BY_SANITIZER extern "C" __attribute__((visibility("default")))

TRIVIUM_SEEN_BY_SANITIZER const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() { return "race:faiss::\nrace:hnswlib::\n"; }

TRIVIUM_SEEN_BY_SANITIZER const char* __tsan_default_options();
const char* __tsan_default_options() { return "detect_deadlocks=0"; }
