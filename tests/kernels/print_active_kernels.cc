// SPDX-License-Identifier: Apache-2.0
// Prints the name of the table in use: run with different environments by instruction_sets_test.cc.
#include <cstdio>

#include "kernels/distance_table.h"

int main() { std::fputs(trivium::kernels::ActiveDistances().name, stdout); }
