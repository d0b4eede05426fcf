/* SPDX-License-Identifier: Apache-2.0 */
/* uapi.h - <linux/bpf.h> of the build machine (at least Linux 6.1) plus what Linux 6.18 has beyond it.
 * Enumerators newer than 6.1 are macros, defined behind the header: where the header has them too, the value is the
 * same and nothing clashes. Structures that have grown are our own (skep_attr, skep_prog_info, ...), with the kernel's
 * field names; a test compares sizes and offsets with the running kernel's BTF. */
#ifndef SKEP_SPEC_UAPI_H
#define SKEP_SPEC_UAPI_H

#include <linux/bpf.h>
#include <linux/bpf_common.h>

/* ---- instructions ---- */
#define BPF_MEMSX		0x80	/* load with sign extension */
#define BPF_LOAD_ACQ		0x100
#define BPF_STORE_REL		0x110
#define BPF_JCOND		0xe0
#define BPF_MAY_GOTO		0
#define BPF_ADDR_SPACE_CAST	1

/* ---- commands ---- */
#define BPF_TOKEN_CREATE		36
#define BPF_PROG_STREAM_READ_BY_FD	37

/* ---- map types and flags ---- */
#define BPF_MAP_TYPE_CGRP_STORAGE	32
#define BPF_MAP_TYPE_ARENA		33
#define BPF_F_PATH_FD			(1U << 14)
#define BPF_F_VTYPE_BTF_OBJ_FD		(1U << 15)
#define BPF_F_TOKEN_FD			(1U << 16)
#define BPF_F_SEGV_ON_FAULT		(1U << 17)
#define BPF_F_NO_USER_CONV		(1U << 18)

/* ---- program types and flags ---- */
#define BPF_PROG_TYPE_NETFILTER		32
#define BPF_F_XDP_HAS_FRAGS		(1U << 5)
#define BPF_F_XDP_DEV_BOUND_ONLY	(1U << 6)
#define BPF_F_TEST_REG_INVARIANTS	(1U << 7)
#define BPF_F_NETFILTER_IP_DEFRAG	(1U << 0)	/* link flag */

/* ---- attach types ---- */
#define BPF_STRUCT_OPS			44
#define BPF_NETFILTER			45
#define BPF_TCX_INGRESS			46
#define BPF_TCX_EGRESS			47
#define BPF_TRACE_UPROBE_MULTI		48
#define BPF_CGROUP_UNIX_CONNECT		49
#define BPF_CGROUP_UNIX_SENDMSG		50
#define BPF_CGROUP_UNIX_RECVMSG		51
#define BPF_CGROUP_UNIX_GETPEERNAME	52
#define BPF_CGROUP_UNIX_GETSOCKNAME	53
#define BPF_NETKIT_PRIMARY		54
#define BPF_NETKIT_PEER			55
#define BPF_TRACE_KPROBE_SESSION	56
#define BPF_TRACE_UPROBE_SESSION	57

/* ---- link types ---- */
#define BPF_LINK_TYPE_NETFILTER		10
#define BPF_LINK_TYPE_TCX		11
#define BPF_LINK_TYPE_UPROBE_MULTI	12
#define BPF_LINK_TYPE_NETKIT		13
#define BPF_LINK_TYPE_SOCKMAP		14

/* ---- what a link goes to (enum bpf_perf_event_type) ---- */
#define BPF_PERF_EVENT_KPROBE		3
#define BPF_PERF_EVENT_KRETPROBE	4
#define BPF_PERF_EVENT_TRACEPOINT	5

/* ---- helpers ---- */
#define BPF_FUNC_cgrp_storage_get	210
#define BPF_FUNC_cgrp_storage_delete	211

/* ---- bpf(2)'s attribute ---- */
union skep_attr {
	struct {			/* MAP_CREATE */
		__u32 map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
		char map_name[BPF_OBJ_NAME_LEN];
		__u32 map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
		__u64 map_extra;
		__s32 value_type_btf_obj_fd, map_token_fd;
		__aligned_u64 excl_prog_hash;
		__u32 excl_prog_hash_size;
	};
	struct {			/* MAP_*_ELEM, MAP_FREEZE */
		__u32 map_fd;
		__aligned_u64 key;
		union {
			__aligned_u64 value;
			__aligned_u64 next_key;
		};
		__u64 flags;
	};
	struct {			/* MAP_*_BATCH */
		__aligned_u64 in_batch, out_batch, keys, values;
		__u32 count, map_fd;
		__u64 elem_flags, flags;
	} batch;
	struct {			/* PROG_LOAD */
		__u32 prog_type, insn_cnt;
		__aligned_u64 insns, license;
		__u32 log_level, log_size;
		__aligned_u64 log_buf;
		__u32 kern_version, prog_flags;
		char prog_name[BPF_OBJ_NAME_LEN];
		__u32 prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size;
		__aligned_u64 func_info;
		__u32 func_info_cnt, line_info_rec_size;
		__aligned_u64 line_info;
		__u32 line_info_cnt, attach_btf_id;
		union {
			__u32 attach_prog_fd, attach_btf_obj_fd;
		};
		__u32 core_relo_cnt;
		__aligned_u64 fd_array, core_relos;
		__u32 core_relo_rec_size, log_true_size;
		__s32 prog_token_fd;
		__u32 fd_array_cnt;
		__aligned_u64 signature;
		__u32 signature_size;
		__s32 keyring_id;
	};
	struct {			/* OBJ_PIN, OBJ_GET */
		__aligned_u64 pathname;
		__u32 bpf_fd, file_flags;
		__s32 path_fd;
	};
	struct {			/* PROG_ATTACH, PROG_DETACH */
		union {
			__u32 target_fd, target_ifindex;
		};
		__u32 attach_bpf_fd, attach_type, attach_flags, replace_bpf_fd;
		union {
			__u32 relative_fd, relative_id;
		};
		__u64 expected_revision;
	};
	struct {			/* PROG_TEST_RUN */
		__u32 prog_fd, retval, data_size_in, data_size_out;
		__aligned_u64 data_in, data_out;
		__u32 repeat, duration, ctx_size_in, ctx_size_out;
		__aligned_u64 ctx_in, ctx_out;
		__u32 flags, cpu, batch_size;
	} test;
	struct {			/* *_GET_NEXT_ID, *_GET_FD_BY_ID */
		union {
			__u32 start_id, prog_id, map_id, btf_id, link_id;
		};
		__u32 next_id, open_flags;
		__s32 fd_by_id_token_fd;
	};
	struct {			/* OBJ_GET_INFO_BY_FD */
		__u32 bpf_fd, info_len;
		__aligned_u64 info;
	} info;
	struct {			/* PROG_QUERY */
		union {
			__u32 target_fd, target_ifindex;
		};
		__u32 attach_type, query_flags, attach_flags;
		__aligned_u64 prog_ids;
		union {
			__u32 prog_cnt, count;
		};
		__aligned_u64 prog_attach_flags, link_ids, link_attach_flags;
		__u64 revision;
	} query;
	struct {			/* RAW_TRACEPOINT_OPEN */
		__aligned_u64 name;
		__u32 prog_fd;
		__aligned_u64 cookie;
	} raw_tracepoint;
	struct {			/* BTF_LOAD */
		__aligned_u64 btf, btf_log_buf;
		__u32 btf_size, btf_log_size, btf_log_level, btf_log_true_size, btf_flags;
		__s32 btf_token_fd;
	};
	struct {			/* TASK_FD_QUERY */
		__u32 pid, fd, flags, buf_len;
		__aligned_u64 buf;
		__u32 prog_id, fd_type;
		__u64 probe_offset, probe_addr;
	} task_fd_query;
	struct {			/* LINK_CREATE */
		union {
			__u32 prog_fd, map_fd;
		};
		union {
			__u32 target_fd, target_ifindex;
		};
		__u32 attach_type, flags;
		union {
			__u32 target_btf_id;
			struct {
				__aligned_u64 iter_info;
				__u32 iter_info_len;
			};
			struct {
				__u64 bpf_cookie;
			} perf_event;
			struct {
				__u32 flags, cnt;
				__aligned_u64 syms, addrs, cookies;
			} kprobe_multi;
			struct {
				__u32 target_btf_id;
				__u64 cookie;
			} tracing;
			struct {
				__u32 pf, hooknum;
				__s32 priority;
				__u32 flags;
			} netfilter;
			struct {
				union {
					__u32 relative_fd, relative_id;
				};
				__u64 expected_revision;
			} tcx;
			struct {
				__aligned_u64 path, offsets, ref_ctr_offsets, cookies;
				__u32 cnt, flags, pid;
			} uprobe_multi;
			struct {
				union {
					__u32 relative_fd, relative_id;
				};
				__u64 expected_revision;
			} netkit;
			struct {
				union {
					__u32 relative_fd, relative_id;
				};
				__u64 expected_revision;
			} cgroup;
		};
	} link_create;
	struct {			/* LINK_UPDATE */
		__u32 link_fd;
		union {
			__u32 new_prog_fd, new_map_fd;
		};
		__u32 flags;
		union {
			__u32 old_prog_fd, old_map_fd;
		};
	} link_update;
	struct {
		__u32 link_fd;
	} link_detach;
	struct {
		__u32 type;
	} enable_stats;
	struct {
		__u32 link_fd, flags;
	} iter_create;
	struct {
		__u32 prog_fd, map_fd, flags;
	} prog_bind_map;
	struct {
		__u32 flags, bpffs_fd;
	} token_create;
	struct {
		__aligned_u64 stream_buf;
		__u32 stream_buf_len, stream_id, prog_fd;
	} prog_stream_read;
} __attribute__((aligned(8)));

/* ---- OBJ_GET_INFO_BY_FD ---- */
struct skep_prog_info {
	__u32 type, id;
	__u8 tag[BPF_TAG_SIZE];
	__u32 jited_prog_len, xlated_prog_len;
	__aligned_u64 jited_prog_insns, xlated_prog_insns;
	__u64 load_time;		/* ns since boot */
	__u32 created_by_uid, nr_map_ids;
	__aligned_u64 map_ids;
	char name[BPF_OBJ_NAME_LEN];
	__u32 ifindex;
	__u32 gpl_compatible : 1, : 31;
	__u64 netns_dev, netns_ino;
	__u32 nr_jited_ksyms, nr_jited_func_lens;
	__aligned_u64 jited_ksyms, jited_func_lens;
	__u32 btf_id, func_info_rec_size;
	__aligned_u64 func_info;
	__u32 nr_func_info, nr_line_info;
	__aligned_u64 line_info, jited_line_info;
	__u32 nr_jited_line_info, line_info_rec_size, jited_line_info_rec_size, nr_prog_tags;
	__aligned_u64 prog_tags;
	__u64 run_time_ns, run_cnt, recursion_misses;
	__u32 verified_insns, attach_btf_obj_id, attach_btf_id;
} __attribute__((aligned(8)));

struct skep_map_info {
	__u32 type, id, key_size, value_size, max_entries, map_flags;
	char name[BPF_OBJ_NAME_LEN];
	__u32 ifindex, btf_vmlinux_value_type_id;
	__u64 netns_dev, netns_ino;
	__u32 btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
	__u64 map_extra;
	__aligned_u64 hash;
	__u32 hash_size;
} __attribute__((aligned(8)));

struct skep_btf_info {
	__aligned_u64 btf;
	__u32 btf_size, id;
	__aligned_u64 name;
	__u32 name_len, kernel_btf;
} __attribute__((aligned(8)));

struct skep_link_info {
	__u32 type, id, prog_id;
	union {
		struct {
			__aligned_u64 tp_name;
			__u32 tp_name_len;
			__u64 cookie;
		} raw_tracepoint;
		struct {
			__u32 attach_type, target_obj_id, target_btf_id;
			__u64 cookie;
		} tracing;
		struct {
			__u64 cgroup_id;
			__u32 attach_type;
		} cgroup;
		struct {
			__aligned_u64 target_name;
			__u32 target_name_len;
			union {
				struct {
					__u32 map_id;
				} map;
			};
			union {
				struct {
					__u64 cgroup_id;
					__u32 order;
				} cgroup;
				struct {
					__u32 tid, pid;
				} task;
			};
		} iter;
		struct {
			__u32 netns_ino, attach_type;
		} netns;
		struct {
			__u32 ifindex;
		} xdp;
		struct {
			__u32 map_id;
		} struct_ops;
		struct {
			__u32 pf, hooknum;
			__s32 priority;
			__u32 flags;
		} netfilter;
		struct {
			__aligned_u64 addrs;
			__u32 count, flags;
			__u64 missed;
			__aligned_u64 cookies;
		} kprobe_multi;
		struct {
			__aligned_u64 path, offsets, ref_ctr_offsets, cookies;
			__u32 path_size, count, flags, pid;
		} uprobe_multi;
		struct {
			__u32 type;	/* enum bpf_perf_event_type */
			__u32 : 32;
			union {
				struct {
					__aligned_u64 file_name;
					__u32 name_len, offset;
					__u64 cookie, ref_ctr_offset;
				} uprobe;
				struct {
					__aligned_u64 func_name;
					__u32 name_len, offset;
					__u64 addr, missed, cookie;
				} kprobe;
				struct {
					__aligned_u64 tp_name;
					__u32 name_len, : 32;
					__u64 cookie;
				} tracepoint;
				struct {
					__u64 config;
					__u32 type, : 32;
					__u64 cookie;
				} event;
			};
		} perf_event;
		struct {
			__u32 ifindex, attach_type;
		} tcx, netkit;
		struct {
			__u32 map_id, attach_type;
		} sockmap;
	};
} __attribute__((aligned(8)));

#endif
