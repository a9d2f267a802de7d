# SPDX-License-Identifier: Apache-2.0
# A pool's certificate authority: nodes' certificates, whose URI says who they are (decision 9 of the design).
#
#     my $ca = Headpond::PoolCa->new;
#     my $files = $ca->issue(region => 'west', node => 'west-1');    # { certificate => PATH, key => PATH, ca => PATH }
package Headpond::PoolCa;
use strict;
use warnings;
use Headpond;
use Headpond::Process;

my $KEY = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2';
my $count = 0;

# Without the system's configuration, which adds extensions of its own.
my $CONFIG = <<'TEXT';
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[node]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = ${ENV::HEADPOND_URI}
TEXT

sub openssl {
    my ($self, $uri, $arguments) = @_;
    local $ENV{HEADPOND_URI} = $uri;
    system("openssl req -x509 $KEY -config '$self->{dir}/openssl.cnf' $arguments 2>'$self->{dir}/log'") == 0
        or die 'openssl could not make a certificate: ' . Headpond::Process::slurp("$self->{dir}/log");
}

# name => what it is called, dir => where its files go: others than these for each.
sub new {
    my ($class, %self) = @_;
    $self{dir} //= Headpond::folder();
    $self{name} //= 'headpond test pool ' . ++$count;
    my $self = bless \%self, $class;
    Headpond::Process::spew("$self{dir}/openssl.cnf", $CONFIG);
    $self->{ca} = "$self{dir}/ca.crt";
    $self->openssl('URI:none:', "-extensions ca -subj '/CN=$self{name}' -keyout '$self{dir}/ca.key' -out '$self->{ca}'");
    return $self;
}

# A node's: pool (main), region, role (member) and node; or uri => all of it, as OpenSSL writes alternative names. `as`:
# the name of its files, instead of the node's.
sub issue {
    my ($self, %o) = @_;
    my $uri = $o{uri} // 'URI:headpond://' . join '/', $o{pool} // 'main', $o{region}, $o{role} // 'member', $o{node};
    my $base = "$self->{dir}/" . ($o{as} // $o{node});
    $self->openssl($uri, "-extensions node -CA '$self->{ca}' -CAkey '$self->{dir}/ca.key' -subj '/CN=" . ($o{node} // 'node')
        . "' -keyout '$base.key' -out '$base.crt'");
    return { certificate => "$base.crt", key => "$base.key", ca => $self->{ca} };
}

# A file that trusts these, as where one authority follows another: what `ca` may point to.
sub bundle {
    my (@authorities) = @_;
    my $path = "$authorities[0]{dir}/bundle-" . ++$count . '.crt';
    Headpond::Process::spew($path, join '', map { Headpond::Process::slurp($_->{ca}) } @authorities);
    return $path;
}

1;
