# Reference pages, made from the spec tables: `make doc` after a row has changed.
.PHONY: doc
all: $B/gendoc

$B/gendoc: scripts/gendoc.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) $(ALL_CFLAGS) -o $@ $< $B/lib/libskep.a $(ALL_LDFLAGS)

doc: $B/gendoc
	$< doc
