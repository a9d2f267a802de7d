# SPDX-License-Identifier: Apache-2.0
# The sample is installed as the configuration unless there is one already.
headpondconfdir = $(sysconfdir)/headpond

install-data-local: install-conf
install-conf:
	$(MKDIR_P) '$(DESTDIR)$(headpondconfdir)'
	test -e '$(DESTDIR)$(headpondconfdir)/headpond.yaml' || \
		$(INSTALL_DATA) '$(srcdir)/conf/headpond.yaml' '$(DESTDIR)$(headpondconfdir)/headpond.yaml'
uninstall-local: uninstall-conf
uninstall-conf:
	if cmp -s '$(srcdir)/conf/headpond.yaml' '$(DESTDIR)$(headpondconfdir)/headpond.yaml'; then \
		rm -f '$(DESTDIR)$(headpondconfdir)/headpond.yaml'; fi
.PHONY: install-conf uninstall-conf
