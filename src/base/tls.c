/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - storage of struct tls where there is thread-local storage. */
#include "base/tls.h"

#ifndef SKEP_AGENT
__thread struct tls tls_storage;
#endif
