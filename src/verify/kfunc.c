/* SPDX-License-Identifier: Apache-2.0 */
/* kfunc.c - calls of kernel functions by BTF id: rows of kfuncs.def. None can be judged yet. */
#include "verify/vfy.h"

int vfy_call_kfunc(struct vfy_env *e, const struct bpf_insn *insn)
{
	if (!insn->imm)
		return vfy_reject(e, VR_BAD_INSN, -EINVAL, -1,
				  "invalid kernel function call not eliminated in verifier pass");
	if (!e->in->btf)
		return vfy_reject(e, VR_BTF, -EINVAL, -1, "calling kernel function is not supported without BTF");
	return vfy_unsupported(e, -1, "kernel function calls");
}
