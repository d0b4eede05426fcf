/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - loops that converged. Where a state is covered by one whose own exploration is not finished (a later turn of a loop), or by
 * one that in turn depends on such a state, nobody knows yet what the covering state will have read and which numbers were needed
 * exactly. Such a cover is kept as a back edge. When no back edge leads to an unfinished state any more, the marks are
 * carried over all of them until nothing changes; until then the states on their way count as incomplete: whatever is compared
 * with them must match in everything.
 * Invariant: a state that is incomplete, or the target of a back edge, is not freed (prune.c asks st.incomplete). */
#include "verify/vfy.h"

struct vfy_backedge {
	struct vfy_state st;		/* without frames: history and parents of the covered state */
	u64 written[MAX_FRAMES];	/* its stack_written */
	u32 insn;
	struct vfy_state *to;
	bool open;			/* `to` has unfinished paths */
	struct vfy_backedge *next;
};

static void incomplete(struct vfy_state *st, bool yes)
{
	for (; st && st->incomplete != yes; st = st->parent)
		st->incomplete = yes;
}

/* The current state is covered by TO, whose marks are not final. */
int vfy_backedge_add(struct vfy_env *e, struct vfy_state *to)
{
	struct vfy_backedge *b = calloc(1, sizeof(*b));
	struct vfy_state *cur = e->cur;

	if (!b)
		return vfy_nomem(e);
	b->st.parent = cur->parent;
	b->st.curframe = cur->curframe;
	b->st.first_insn = cur->first_insn;
	b->st.last_insn = cur->last_insn;
	if (cur->nr_hist) {
		b->st.hist = malloc(cur->nr_hist * sizeof(*cur->hist));
		if (!b->st.hist) {
			free(b);
			return vfy_nomem(e);
		}
		memcpy(b->st.hist, cur->hist, cur->nr_hist * sizeof(*cur->hist));
		b->st.nr_hist = cur->nr_hist;
	}
	for (u32 i = 0; i <= cur->curframe; i++)
		b->written[i] = cur->frame[i]->stack_written;
	b->insn = e->insn;
	b->to = to;
	b->open = to->branches;
	to->loop_target |= b->open;
	e->open_backedges += b->open;
	b->next = e->backedges;
	e->backedges = b;
	incomplete(cur->parent, true);	/* an unfinished `to` is among them */
	return 0;
}

/* One back edge: what `to` needs, the covered state's ancestors must keep. */
static int carry(struct vfy_env *e, struct vfy_backedge *b)
{
	struct vfy_frame frames[MAX_FRAMES];
	struct vfy_state *cur = e->cur;
	u32 insn = e->insn, level = e->log_level;
	int err;

	for (u32 i = 0; i <= b->st.curframe; i++) {
		frames[i].stack_written = b->written[i];
		b->st.frame[i] = &frames[i];
	}
	e->cur = &b->st;
	e->insn = b->insn;
	e->log_level = 0;
	err = vfy_inherit_marks(e, b->to);
	e->cur = cur;
	e->insn = insn;
	e->log_level = level;
	memset(b->st.frame, 0, sizeof(b->st.frame));
	return err;
}

void vfy_backedges_free(struct vfy_env *e)
{
	while (e->backedges) {
		struct vfy_backedge *b = e->backedges;

		e->backedges = b->next;
		free(b->st.hist);
		free(b);
	}
	e->open_backedges = 0;
}

/* ST was a target of back edges and is finished now. */
int vfy_backedges_close(struct vfy_env *e, struct vfy_state *st)
{
	int err = 0;

	st->loop_target = false;
	for (struct vfy_backedge *b = e->backedges; b; b = b->next)
		if (b->to == st && b->open) {
			b->open = false;
			e->open_backedges--;
		}
	if (e->open_backedges)
		return 0;
	do {
		e->marks_changed = false;
		for (struct vfy_backedge *b = e->backedges; b && !err; b = b->next)
			err = carry(e, b);
	} while (e->marks_changed && !err);
	for (struct vfy_backedge *b = e->backedges; b; b = b->next) {
		b->to->incomplete = false;
		incomplete(b->st.parent, false);
	}
	vfy_backedges_free(e);
	return err;
}
