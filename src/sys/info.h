/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - what info.c and link_info.c share. */
#ifndef SKEP_SYS_INFO_H
#define SKEP_SYS_INFO_H

#include "sys/sys.h"

/* The client's struct of INFO_LEN bytes: cut to KNOWN, tail checked, copied in; and back again. 0 or -errno. */
int info_in(struct call *k, void *info, u32 known, u32 *len);
int info_back(struct call *k, const void *info, u32 len);

long link_info(struct call *k, u32 id);
/* The lines of fdinfo of a link, or of an event that programs are attached to. */
void link_text(struct obj_dir *d, enum obj_kind kind, u32 id, struct sbuf *out);

#endif
