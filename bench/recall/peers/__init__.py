# SPDX-License-Identifier: Apache-2.0
"""The contenders, a module a library."""
