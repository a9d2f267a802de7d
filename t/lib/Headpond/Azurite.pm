# SPDX-License-Identifier: Apache-2.0
# Azurite, the real Blob service that tests run against, as contrib/check installs it.
package Headpond::Azurite;
use strict;
use warnings;
use File::Temp ();
use Headpond::Origin;
use Headpond::Process;

# The emulator's account and its key, known to everybody.
our $account = 'devstoreaccount1';
our $key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

sub node { return $ENV{HEADPOND_NODE} || 'node' }
sub modules { return $ENV{HEADPOND_NODE_MODULES} || "$Headpond::source/build/node/node_modules" }
sub installed { return -e modules() . '/azurite/dist/src/blob/main.js' }

# Starts it on a port of the system's choice; dies when it does not start. accounts => "name:key1:key2;...": these instead
# of its own. tls => 1: over TLS, by the certificate that everything in a test has; then it takes bearer tokens too, any whose
# claims are in order.
sub start {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir;
    my %tls = %Headpond::Origin::tls;
    my @tls = $o{tls} ? ('--cert', $tls{certificate}, '--key', $tls{key}, '--oauth', 'basic') : ();
    my $process = Headpond::Process->start(log => "$dir/err", out => "$dir/out",
        env => $o{accounts} ? { AZURITE_ACCOUNTS => $o{accounts} } : {},
        command => [node(), modules() . '/azurite/dist/src/blob/main.js', '--blobHost', '127.0.0.1', '--blobPort', '0',
            '--skipApiVersionCheck', '--loose', '--inMemoryPersistence', '--disableTelemetry', @tls]);
    my ($port) = $process->wait_log(qr/listens on https?:\/\/127\.0\.0\.1:(\d+)/, 60, "$dir/out")
        or die 'the Blob service did not start: ' . $process->log_text;
    return bless { process => $process, dir => $dir, port => $port, address => "127.0.0.1:$port" }, $class;
}

# The reads of blobs that it has answered, data or not, and those that brought data; the probes of one byte are not counted
# among these. Of all blobs, or of those whose requests the pattern finds.
sub reads {
    my ($self, $pattern) = @_;
    my @bytes = map { /"(?:GET|HEAD) [^ ?]*(\S*) HTTP\/1\.1" \d+ (\S+)/ && $1 !~ /\b(?:comp|restype)=/ ? $2 : () }
        grep { !$pattern || $_ =~ $pattern } split /\n/, Headpond::Process::slurp("$self->{dir}/out");
    return (scalar @bytes, scalar grep { $_ ne '-' && $_ > 1 } @bytes);
}

sub stop { my ($self) = @_; return $self->{process}->stop }

1;
