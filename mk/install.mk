# make install PREFIX= DESTDIR=: tool, libraries, headers, pkg-config file, man pages.
VERSION := 0.1.0
D := $(DESTDIR)$(PREFIX)
MAN1 := $(wildcard doc/man/*.1)
HEADERS := $(wildcard include/*.h)

$B/skep.pc: skep.pc.in Makefile mk/install.mk
	@mkdir -p $(@D)
	$Qsed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@WRAP@|$(WRAP)|' $< > $@

install: all
	@rm -f $B/skep.pc
	@$(MAKE) --no-print-directory $B/skep.pc
	install -d $D/bin $D/lib/pkgconfig $D/include $D/share/man/man1
	install -m 755 $B/bin/skep $D/bin/skep
	install -m 644 $B/lib/libskep.a $D/lib/libskep.a
	install -m 755 $B/lib/libskep.so $D/lib/libskep.so.$(VERSION)
	ln -sf libskep.so.$(VERSION) $D/lib/libskep.so.0
	ln -sf libskep.so.0 $D/lib/libskep.so
	install -m 755 $B/lib/libskep-preload.so $D/lib/libskep-preload.so
	install -m 755 $B/lib/libskep-agent.so $D/lib/libskep-agent.so
	install -m 644 $(HEADERS) $D/include
	install -m 644 $B/skep.pc $D/lib/pkgconfig/skep.pc
	$(if $(MAN1),install -m 644 $(MAN1) $D/share/man/man1)
